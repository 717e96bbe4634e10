"""The outside world: sockets, TLS, proxies, HTTP. The only room that imports websocket-client and requests."""
