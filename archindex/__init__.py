"""archindex: a search engine for neural architectures."""
