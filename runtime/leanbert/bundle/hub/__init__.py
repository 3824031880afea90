"""Models from the Hugging Face hub: found, fetched and checked, through huggingface_hub.

Nothing here touches the network, or imports huggingface_hub, before :func:`fetch` or :func:`pull`
is called. Who asks for a model by a path does not even load these modules.
"""

from leanbert.bundle.hub.fetching import Snapshot, fetch
from leanbert.bundle.hub.names import is_repository
from leanbert.bundle.hub.pulling import pull

__all__ = ["Snapshot", "fetch", "is_repository", "pull"]
