CREATE SCHEMA telehealth;

CREATE SCHEMA telehealth_private;
