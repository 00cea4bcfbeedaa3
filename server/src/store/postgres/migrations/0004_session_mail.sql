-- What a client sent in a session to one server and another server waits for.
CREATE TABLE session_mail (
    session    bytea  NOT NULL CHECK (length (session) = 32),
    topic      text   COLLATE "C" NOT NULL CHECK (length (topic) <= 300),
    body       text   NOT NULL,
    expires_at bigint NOT NULL,
    PRIMARY KEY (session, topic)
);

CREATE INDEX session_mail_by_end ON session_mail (expires_at);
