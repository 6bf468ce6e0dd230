-- The whole first schema: the mirror of the shop's orders, the told-ledger,
-- the outbox and what operators leave behind.
--
-- Instants are Unix milliseconds, civil days YYYY-MM-DD text, documents JSON
-- text, quantities thousandths. An unknown ETA is two NULLs.
-- Old programs do not survive this file: there are none.

CREATE TABLE meta (
  name  TEXT PRIMARY KEY,
  value TEXT NOT NULL
) STRICT;

-- Planners that count messages for the brake meet at this row.
INSERT INTO meta (name, value) VALUES ('brake', '');
-- By it these data are known from others; a copy keeps it.
INSERT INTO meta (name, value) VALUES ('instance_id', lower(hex(randomblob(16))));

CREATE TABLE shops (
  id   INTEGER PRIMARY KEY,
  key  TEXT NOT NULL UNIQUE,
  name TEXT NOT NULL,
  zone TEXT NOT NULL
) STRICT;

CREATE TABLE sources (
  id         INTEGER PRIMARY KEY,
  shop_id    INTEGER NOT NULL REFERENCES shops,
  name       TEXT NOT NULL,
  kind       TEXT NOT NULL,
  -- The last complete read; rows of the last whole file, and how it ended.
  last_ok_at INTEGER,
  rows_read  INTEGER NOT NULL DEFAULT 0,
  ends_line  INTEGER NOT NULL DEFAULT 0,
  -- When the newest file was written: an old one read again is not news.
  written_at INTEGER,
  -- Why the latest file was not taken in; NULL when it was.
  refused_at INTEGER,
  refused    TEXT,
  UNIQUE (shop_id, name)
) STRICT;

-- One person of one shop, found by the keyed hash of the address (of the
-- number without one; of the order's key with neither).
CREATE TABLE contacts (
  id           INTEGER PRIMARY KEY,
  shop_id      INTEGER NOT NULL REFERENCES shops,
  contact_hash TEXT NOT NULL,
  email        TEXT,
  email_hash   TEXT,
  phone        TEXT,
  phone_hash   TEXT,
  name         TEXT,
  locale       TEXT,
  zone         TEXT,
  country      TEXT,
  sms_consent  INTEGER NOT NULL DEFAULT 0,
  preferred    TEXT NOT NULL DEFAULT 'email',
  -- Who plans for this person at the moment, where several may.
  planned_by    BLOB,
  planned_until INTEGER,
  UNIQUE (shop_id, contact_hash)
) STRICT;
CREATE INDEX contacts_by_email ON contacts (email_hash) WHERE email_hash IS NOT NULL;
CREATE INDEX contacts_by_phone ON contacts (phone_hash) WHERE phone_hash IS NOT NULL;

CREATE TABLE orders (
  id               INTEGER PRIMARY KEY,
  shop_id          INTEGER NOT NULL REFERENCES shops,
  order_key        TEXT NOT NULL,
  number           TEXT NOT NULL,
  contact_id       INTEGER NOT NULL REFERENCES contacts,
  ordered_at       INTEGER,
  ordered_on       TEXT NOT NULL,
  zone_used        TEXT NOT NULL,
  first_seen_at    INTEGER NOT NULL,
  adopted_at       INTEGER,
  fact_version     INTEGER NOT NULL DEFAULT 1,
  review_version   INTEGER NOT NULL DEFAULT 1,
  next_review_at   INTEGER,
  -- The settings it was last looked at under: meta.settings_no counts them.
  settings_no      INTEGER NOT NULL DEFAULT 0,
  closed_at        INTEGER,
  next_word_by     TEXT,
  last_verdict     TEXT,
  view_url         TEXT,
  cancel_url       TEXT,
  customer_deleted INTEGER NOT NULL DEFAULT 0,
  UNIQUE (shop_id, order_key)
) STRICT;
-- The only work list of the planner.
CREATE INDEX orders_due ON orders (next_review_at) WHERE next_review_at IS NOT NULL;
CREATE INDEX orders_open ON orders (id) WHERE closed_at IS NULL;
CREATE INDEX orders_by_number ON orders (number);
-- People type `1042` for `#01042`.
CREATE INDEX orders_by_bare_number ON orders (ltrim(number, '#0'));
CREATE INDEX orders_by_contact ON orders (contact_id);

CREATE TABLE order_lines (
  id                   INTEGER PRIMARY KEY,
  order_id             INTEGER NOT NULL REFERENCES orders,
  shop_id              INTEGER NOT NULL REFERENCES shops,
  line_key             TEXT NOT NULL,
  sku                  TEXT,
  name                 TEXT NOT NULL,
  qty_ordered          INTEGER NOT NULL,
  qty_shipped          INTEGER NOT NULL DEFAULT 0,
  qty_cancelled        INTEGER NOT NULL DEFAULT 0,
  qty_shipped_told     INTEGER NOT NULL DEFAULT 0,
  qty_cancelled_told   INTEGER NOT NULL DEFAULT 0,
  shipped_changed_at   INTEGER,
  cancelled_changed_at INTEGER,
  price_minor          INTEGER,
  currency             TEXT,
  supplier             TEXT,
  warehouse            TEXT,
  source_eta_from      TEXT,
  source_eta_to        TEXT,
  source_reason        TEXT,
  eta_from             TEXT,
  eta_to               TEXT,
  eta_origin           TEXT NOT NULL DEFAULT 'source',
  eta_changed_at       INTEGER NOT NULL,
  eta_confirmed_at     INTEGER,
  reason               TEXT,
  told_seq             INTEGER NOT NULL DEFAULT 0,
  seen_waiting         INTEGER NOT NULL DEFAULT 0,
  row_hash             TEXT NOT NULL,
  extras               TEXT,
  updated_at           INTEGER,
  first_seen_at        INTEGER NOT NULL,
  missing_since        INTEGER,
  UNIQUE (shop_id, line_key)
) STRICT;
CREATE INDEX order_lines_by_order ON order_lines (order_id);
CREATE INDEX order_lines_by_sku ON order_lines (sku) WHERE sku IS NOT NULL;
CREATE INDEX order_lines_by_supplier ON order_lines (supplier) WHERE supplier IS NOT NULL;

-- Dates that do not come with the line: a person's word or a dates file.
-- Order beats line beats SKU; all of them beat the source's own date.
CREATE TABLE eta_claims (
  shop_id      INTEGER NOT NULL REFERENCES shops,
  scope        TEXT NOT NULL CHECK (scope IN ('order', 'line', 'sku')),
  key          TEXT NOT NULL,
  eta_from     TEXT,
  eta_to       TEXT,
  reason       TEXT,
  origin       TEXT NOT NULL CHECK (origin IN ('operator', 'sku')),
  by           TEXT NOT NULL,
  confirmed_at INTEGER NOT NULL,
  PRIMARY KEY (shop_id, scope, key)
) STRICT;

CREATE TABLE eta_history (
  line_id  INTEGER NOT NULL REFERENCES order_lines,
  seq      INTEGER NOT NULL,
  eta_from TEXT,
  eta_to   TEXT,
  source   TEXT NOT NULL,
  at       INTEGER NOT NULL,
  PRIMARY KEY (line_id, seq)
) STRICT;

CREATE TABLE shipments (
  id           INTEGER PRIMARY KEY,
  order_id     INTEGER NOT NULL REFERENCES orders,
  key          TEXT NOT NULL,
  carrier      TEXT,
  numbers      TEXT NOT NULL DEFAULT '[]',
  url          TEXT,
  estimate_on  TEXT,
  shipped_at   INTEGER,
  told_message INTEGER,
  UNIQUE (order_id, key)
) STRICT;

-- Append-only: every date a customer was given, by which message.
CREATE TABLE told (
  line_id      INTEGER NOT NULL REFERENCES order_lines,
  seq          INTEGER NOT NULL,
  message_no   INTEGER,
  promise_from TEXT,
  promise_to   TEXT,
  eta_from     TEXT,
  eta_to       TEXT,
  basis        TEXT NOT NULL CHECK (CASE basis
    WHEN 'baseline' THEN 1 WHEN 'shop' THEN 1 WHEN 'accepted' THEN 1 WHEN 'possible' THEN 1
    WHEN 'assumed' THEN 1 WHEN 'retracted' THEN 1 ELSE 0 END),
  mode         TEXT NOT NULL CHECK (mode IN ('sandbox', 'live')),
  at           INTEGER NOT NULL,
  PRIMARY KEY (line_id, seq)
) STRICT, WITHOUT ROWID;

CREATE TABLE runs (
  no         INTEGER PRIMARY KEY,
  job        TEXT NOT NULL,
  due        INTEGER,
  mode       TEXT NOT NULL,
  state      TEXT NOT NULL CHECK (state IN ('planned', 'held', 'approved', 'dropped', 'lapsed')),
  started_at INTEGER NOT NULL,
  orders     INTEGER NOT NULL DEFAULT 0,
  messages   INTEGER NOT NULL DEFAULT 0,
  quiet      TEXT NOT NULL DEFAULT '{}',
  by         TEXT NOT NULL,
  why        TEXT
) STRICT;

CREATE INDEX runs_held ON runs (started_at) WHERE state = 'held';

-- Written only when an order's verdict changed.
CREATE TABLE verdicts (
  id       INTEGER PRIMARY KEY,
  order_id INTEGER NOT NULL REFERENCES orders,
  run_no   INTEGER,
  at       INTEGER NOT NULL,
  verdict  TEXT NOT NULL
) STRICT;
CREATE INDEX verdicts_by_order ON verdicts (order_id, id);
CREATE INDEX verdicts_by_run ON verdicts (run_no);

CREATE TABLE messages (
  no               INTEGER PRIMARY KEY,
  uid              BLOB NOT NULL UNIQUE,
  purpose          TEXT NOT NULL CHECK (purpose IN ('customer', 'test')),
  mode             TEXT NOT NULL CHECK (mode IN ('sandbox', 'live')),
  -- The message a person had sent again.
  resend_of        INTEGER REFERENCES messages (no),
  run_no           INTEGER REFERENCES runs (no),
  -- Collected in a held run: not claimed until a person approves.
  held             INTEGER NOT NULL DEFAULT 0,
  channel          TEXT NOT NULL CHECK (channel IN ('email', 'sms')),
  kind             TEXT NOT NULL,
  contact_id       INTEGER REFERENCES contacts,
  address_hash     TEXT NOT NULL,
  -- Said like this, here and for the told: for a list behind IN the engine makes a table of its
  -- words for each row it checks.
  state            TEXT NOT NULL CHECK (CASE state
    WHEN 'queued' THEN 1 WHEN 'leased' THEN 1 WHEN 'submitting' THEN 1 WHEN 'in_doubt' THEN 1
    WHEN 'sent' THEN 1 WHEN 'delivered' THEN 1 WHEN 'bounced' THEN 1 WHEN 'failed' THEN 1
    WHEN 'superseded' THEN 1 WHEN 'suppressed' THEN 1 WHEN 'expired' THEN 1
    WHEN 'withdrawn' THEN 1 ELSE 0 END),
  settled_by       TEXT,
  planned_at       INTEGER NOT NULL,
  due_since        INTEGER NOT NULL,
  due_at           INTEGER NOT NULL,
  not_after        INTEGER NOT NULL,
  owner            BLOB,
  epoch            INTEGER NOT NULL DEFAULT 0,
  lease_until      INTEGER,
  claims           INTEGER NOT NULL DEFAULT 0,
  attempts         INTEGER NOT NULL DEFAULT 0,
  counted          INTEGER NOT NULL DEFAULT 0,
  doubts           INTEGER NOT NULL DEFAULT 0,
  quiet_until      INTEGER,
  sent_at          INTEGER,
  ended_at         INTEGER,
  template_version TEXT,
  content_hash     TEXT
) STRICT;
CREATE INDEX messages_queued ON messages (due_at, no) WHERE state = 'queued' AND held = FALSE;
-- Two with a condition of their own that is always true: without it PostgreSQL reads all of
-- them, and sorts, where the head of the queue is asked for.
CREATE INDEX messages_ageing ON messages (not_after) WHERE state = 'queued' AND not_after > 0;
-- Of all messages, not of the queued ones as on PostgreSQL: addresses are hashes, and each that left
-- the queue would change a page of its own.
CREATE INDEX messages_by_address ON messages (address_hash, channel);
CREATE INDEX messages_suspect ON messages (due_at) WHERE state = 'queued' AND claims > 1;
-- Leased and submitting, which are those that have an owner: one row between claim and record,
-- whatever happens in between.
CREATE INDEX messages_in_hands ON messages (owner) WHERE owner IS NOT NULL;
CREATE INDEX messages_in_doubt ON messages (quiet_until) WHERE state = 'in_doubt';
CREATE INDEX messages_by_run ON messages (run_no);
CREATE INDEX messages_by_contact ON messages (contact_id);
CREATE INDEX messages_resends ON messages (resend_of) WHERE resend_of IS NOT NULL;
CREATE INDEX messages_planned ON messages (planned_at);

CREATE TABLE notices (
  id             INTEGER PRIMARY KEY,
  message_no     INTEGER NOT NULL REFERENCES messages (no),
  order_id       INTEGER NOT NULL REFERENCES orders,
  channel        TEXT NOT NULL,
  kind           TEXT NOT NULL,
  mode           TEXT NOT NULL,
  discriminator  TEXT NOT NULL,
  -- Unique while it stands; NULL when what was planned was taken back unsent.
  key            TEXT UNIQUE,
  fact_version   INTEGER NOT NULL,
  -- 0: by the planner; else a person's resend, counted.
  take           INTEGER NOT NULL DEFAULT 0,
  facts_hash     TEXT NOT NULL,
  milestone_days INTEGER,
  -- While the order's `review_version` is this, it may rest when the notice was
  -- accepted: its next look is early enough.
  rests_at       INTEGER,
  in_queue       INTEGER NOT NULL,
  in_flight      INTEGER NOT NULL
) STRICT;
CREATE INDEX notices_by_message ON notices (message_no);
CREATE INDEX notices_by_order ON notices (order_id, message_no);
-- Nothing overtakes: one queued and one in-flight notice per order and channel.
CREATE UNIQUE INDEX notices_one_in_queue ON notices (order_id, channel, mode) WHERE in_queue = TRUE;
CREATE UNIQUE INDEX notices_one_in_flight ON notices (order_id, channel, mode) WHERE in_flight = TRUE;

-- Personal data of messages in one place, so that erasure has one place.
CREATE TABLE message_private (
  message_no INTEGER PRIMARY KEY REFERENCES messages (no),
  recipient  TEXT NOT NULL,
  facts      TEXT NOT NULL
) STRICT;

-- `id` rises with every sending that begins: by it a database knows that it is
-- older than it was.
CREATE TABLE attempts (
  id                INTEGER PRIMARY KEY,
  message_no        INTEGER NOT NULL REFERENCES messages (no),
  no                INTEGER NOT NULL,
  worker            BLOB NOT NULL,
  epoch             INTEGER NOT NULL,
  relay             TEXT NOT NULL,
  message_id_header TEXT,
  began_at          INTEGER NOT NULL,
  ended_at          INTEGER,
  outcome           TEXT,
  code              INTEGER,
  enhanced          TEXT,
  phase             TEXT,
  reply             TEXT,
  reference         TEXT,
  UNIQUE (message_no, no)
) STRICT;

-- Texts have no such header: they are counted by the day.
CREATE INDEX attempts_of_texts ON attempts (began_at) WHERE message_id_header IS NULL;
CREATE INDEX attempts_by_reference ON attempts (reference) WHERE reference IS NOT NULL;

-- What others reported about messages after they were handed over. Nothing
-- depends on their order: what became of a message follows from all of them.
CREATE TABLE receipts (
  id          INTEGER PRIMARY KEY,
  event_key   TEXT NOT NULL UNIQUE,
  -- How the report names its message: our own id, or the gateway's.
  message_uid BLOB,
  relay       TEXT,
  reference   TEXT,
  message_no  INTEGER REFERENCES messages (no),
  kind        TEXT NOT NULL,
  rank        INTEGER NOT NULL,
  at          INTEGER NOT NULL,
  source      TEXT NOT NULL,
  code        INTEGER,
  enhanced    TEXT,
  reply       TEXT NOT NULL,
  -- Still to be applied: its message is unknown, or being sent.
  waits       INTEGER NOT NULL
) STRICT;
CREATE INDEX receipts_by_message ON receipts (message_no);
CREATE INDEX receipts_waiting ON receipts (id) WHERE waits = TRUE;
CREATE INDEX receipts_by_time ON receipts (at);
CREATE INDEX receipts_vague ON receipts (at) WHERE kind = 'failed_vague';

-- Reports as they came: customers' addresses and words are in them.
CREATE TABLE receipt_private (
  receipt_id INTEGER PRIMARY KEY REFERENCES receipts (id),
  raw        BLOB NOT NULL
) STRICT;

-- Texts people sent us: what they wanted, what was done and answered.
CREATE TABLE texts (
  id             INTEGER PRIMARY KEY,
  event_key      TEXT NOT NULL UNIQUE,
  gateway        TEXT NOT NULL,
  phone_hash     TEXT NOT NULL,
  wish           TEXT NOT NULL,
  -- What a person has to do about it, and who did.
  task           TEXT,
  order_id       INTEGER REFERENCES orders,
  at             INTEGER NOT NULL,
  done_at        INTEGER,
  done_by        TEXT,
  -- The automatic answer decided on, and what became of it.
  answer         TEXT,
  answer_outcome TEXT
) STRICT;
CREATE INDEX texts_by_phone ON texts (phone_hash, at);
CREATE INDEX texts_to_do ON texts (at) WHERE task IS NOT NULL AND done_at IS NULL;

-- Who wrote, and the words.
CREATE TABLE text_private (
  text_id INTEGER PRIMARY KEY REFERENCES texts (id),
  number  TEXT NOT NULL,
  words   TEXT NOT NULL
) STRICT;

CREATE TABLE holds (
  id    INTEGER PRIMARY KEY,
  scope TEXT NOT NULL CHECK
    (scope IN ('global', 'channel', 'run', 'order', 'sku', 'supplier', 'customer')),
  key   TEXT NOT NULL DEFAULT '',
  by    TEXT NOT NULL,
  why   TEXT NOT NULL,
  since INTEGER NOT NULL,
  until INTEGER,
  UNIQUE (scope, key)
) STRICT;

-- Orders that a hold keeps silent; global, channel and run holds stop sending, not
-- planning, and are not here. Asked with an order in hand: every branch finds
-- its holds by their key.
CREATE VIEW held_orders AS
  SELECT o.id AS order_id, h.id AS hold_id
  FROM orders o CROSS JOIN holds h ON
    (h.scope = 'order' AND h.key = o.order_key)
    OR (h.scope = 'customer' AND h.key = CAST(o.contact_id AS TEXT))
    OR (h.scope = 'sku'
        AND h.key IN (SELECT l.sku FROM order_lines l WHERE l.order_id = o.id))
    OR (h.scope = 'supplier'
        AND h.key IN (SELECT l.supplier FROM order_lines l WHERE l.order_id = o.id));

CREATE TABLE suppressions (
  address_hash TEXT NOT NULL,
  channel      TEXT NOT NULL,
  reason       TEXT NOT NULL,
  source       TEXT NOT NULL,
  since        INTEGER NOT NULL,
  PRIMARY KEY (address_hash, channel)
) STRICT;

-- The latest day on which mail to an address was refused in words that leave
-- open whether it is dead, with nothing accepted since.
CREATE TABLE vague_refusals (
  address_hash TEXT NOT NULL,
  channel      TEXT NOT NULL,
  day          TEXT NOT NULL,
  PRIMARY KEY (address_hash, channel)
) STRICT;

-- What templates were made of, once a version, so that what was sent can be
-- shown again.
CREATE TABLE template_versions (
  version       TEXT PRIMARY KEY,
  source        TEXT NOT NULL,
  first_used_at INTEGER NOT NULL
) STRICT;

-- Processes that plan or deliver. One heartbeat covers everything a worker has
-- in hands; whose last one is older than alive_ms may be declared dead.
CREATE TABLE workers (
  id           BLOB PRIMARY KEY,
  name         TEXT,
  host         TEXT NOT NULL,
  pid          INTEGER NOT NULL,
  version      TEXT NOT NULL,
  role         TEXT NOT NULL CHECK (role IN ('all', 'deliver', 'plan', 'run')),
  alive_ms     INTEGER NOT NULL,
  started_at   INTEGER NOT NULL,
  heartbeat_at INTEGER NOT NULL
) STRICT;

-- The latest tick done of each job, and the one somebody is at.
CREATE TABLE job_ticks (
  job        TEXT PRIMARY KEY,
  last_due   INTEGER NOT NULL,
  leased_due INTEGER,
  leased_by  BLOB
) STRICT;

CREATE TABLE audit (
  seq    INTEGER PRIMARY KEY,
  actor  TEXT NOT NULL,
  verb   TEXT NOT NULL,
  target TEXT NOT NULL,
  why    TEXT,
  at     INTEGER NOT NULL
) STRICT;

-- Rows of each source's latest file that were not taken: where a support person
-- finds the order nobody can see.
CREATE TABLE rejected_rows (
  id           INTEGER PRIMARY KEY,
  source       TEXT NOT NULL,
  at_line      INTEGER NOT NULL,
  order_number TEXT,
  field        TEXT,
  reason       TEXT NOT NULL,
  at           INTEGER NOT NULL
) STRICT;
CREATE INDEX rejected_rows_by_number ON rejected_rows (order_number);
