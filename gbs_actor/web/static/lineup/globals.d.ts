/** What is vendored without types. */
declare module "preact";
declare module "preact/hooks";
declare module "htm";
declare module "socket.io-client";
