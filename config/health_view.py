"""What a health check or a load balancer asks: does this process answer, and its database?"""

from __future__ import annotations

import logging
from collections.abc import Callable

from django.db import Error, connection
from django.http import HttpRequest, HttpResponse, HttpResponseBase

logger = logging.getLogger(__name__)

PATH = "/health/"


def middleware(
    get_response: Callable[[HttpRequest], HttpResponseBase],
) -> Callable[[HttpRequest], HttpResponseBase]:
    """Answer ``PATH`` by itself: 200, or 503 where the database cannot be asked."""

    def respond(request: HttpRequest) -> HttpResponseBase:
        return _health() if request.path_info == PATH else get_response(request)

    return respond


def _health() -> HttpResponse:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except Error as error:
        # To the log alone: whoever asks need not know names of hosts.
        logger.warning("The database does not answer: %s", " ".join(str(error).split()))
        return HttpResponse("The database does not answer.\n", "text/plain", 503)
    return HttpResponse("ok\n", "text/plain")
