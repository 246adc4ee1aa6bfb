"""The supervised alternatives of the course reports: their networks and losses, and one loop."""
