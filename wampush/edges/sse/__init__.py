"""Event streams for pages without a library: ``EventSource`` on the port of WebSocket.

Owns: requests for streams, their ids and their format, over connections of the WebSocket port.
Must not import: the edges where pushes arrive.

Operators have a stream of all publications on the HTTP port, which is another thing; see
``edges.http.event_stream``.
"""
