"""The studio's server side: dictionary, tables, API, client, command line. Never imports torch."""
