"""Event streams for pages without a library: ``EventSource`` on the port of WebSocket.

Operators have a stream of all publications on the HTTP port, which is another thing; see
``edges.http.event_stream``.
"""
