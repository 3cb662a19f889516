/* The launcher looks for this database when the transaction commits. */
SELECT telehealth_private.wake_launcher();
