"""Sign-in with the one access token: which paths are open without it, sessions of browsers, wrong tries, the layer."""
