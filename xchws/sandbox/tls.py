"""TLS on a connection that a simulated exchange has accepted."""

from __future__ import annotations

import socket
import ssl


def accepted(context: ssl.SSLContext, sock: socket.socket) -> ssl.SSLSocket:
    """The server's side of TLS over it; the handshake is not made yet.

    Raises:
        OSError: the client is gone already. What SSLSocket was about to become has taken the descriptor over by then, and
            Python leaves it open (read off ssl.py of 3.9 to 3.11); it is closed here.
    """
    try:
        return context.wrap_socket(sock, server_side=True, do_handshake_on_connect=False)
    except OSError as error:
        step = error.__traceback__
        while step is not None:
            unmade = step.tb_frame.f_locals.get("self")
            if isinstance(unmade, ssl.SSLSocket):
                unmade.close()
            step = step.tb_next
        raise
