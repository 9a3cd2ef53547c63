"""Files in: uploads, the queue of imports, and how what they hold becomes executions and trades."""
