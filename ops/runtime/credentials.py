"""Google's credentials."""

import google.auth
from google.auth.credentials import Credentials

from ops.runtime.settings import Settings

_SCOPES = ("https://www.googleapis.com/auth/cloud-platform",)


def find(settings: Settings) -> Credentials:
    """Return those of the settings' service account, or the machine's own."""
    file = settings.google_application_credentials
    found, _ = (
        google.auth.load_credentials_from_file(str(file), scopes=_SCOPES)
        if file
        else google.auth.default(scopes=_SCOPES)
    )
    return found
