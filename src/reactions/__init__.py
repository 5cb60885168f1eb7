"""What the system does by itself when something happened: mails, and deadlines kept."""
