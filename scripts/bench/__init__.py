"""The server beside Socket.IO on Node and python-socketio: ``python -m scripts.bench --help``.

One PostgreSQL for all, one server at a time, in rounds; what counts is the ratio of two servers
in one round, since a machine's speed drifts more than they differ.

``rows``            what is measured, and which figure of it stands in the table
``workloads``       how each row is measured
``rounds``          runs rows against servers, interleaved
``servers``         ours and the peers, as processes; ``peers`` are their programs
``postgres``        the database of all
``seeding``         its contents
``load_generator``  the clients: commands to the program in ``load``, in C, on one epoll
``processes``       CPU, memory and descriptors of a process
``installation``    the folder with all that the benchmark installs
``results``         samples, their medians and ratios, as JSON
``report``          tables for a terminal and for Markdown
``plot``            the ratios as a picture, SVG and PNG
``soak``            clients that come, edit and go, for as long as wanted; ``soak_client`` is one
``commit``          the store alone, by the size of a batch: ``python -m scripts.bench.commit``
``page``            the line-up page in Chromium: ``python -m scripts.bench.page``

What the peers do not do, though a line-up needs it: no log of changes, no order across edits, no
detection of conflicts, nothing that makes a repeated edit harmless, no recovery, no rights.
"""
