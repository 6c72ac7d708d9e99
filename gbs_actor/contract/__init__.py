"""What clients and server agree on: events, their arguments, and the table of the commands.

The gateway and the Python client use it, and are independent of each other::

       gbs_actor.gateway               gbs_actor.client
       decodes, dispatches             encodes, sends
               └──────────────┬───────────────┘
                          contract
         events     names of the events, both ways
         payloads   what an event or an HTTP body holds -> a typed request; planned_payloads
                    for commands that may change many fields
         commands   one entry a command: event, argument, HTTP routes (command_spec)
         client_metrics
                    what a page reports of itself
         decoding   JSON -> struct, or InvalidPayload with a sentence for the client's author
                              │
                      gbs_actor.lineup

A new command is an action in ``lineup/commands.py``, its effect in ``lineup/draft.py``, and an
entry in ``commands.py`` here (with a body in ``payloads.py``, if it takes a new one). This
package does no I/O.
"""
