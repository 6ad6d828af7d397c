"""What the service and the worker share: settings, Redis, job records and their queue, uploads and archives."""
