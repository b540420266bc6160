BEGIN TRANSACTION;
CREATE TABLE events (
	run INTEGER NOT NULL, 
	seq INTEGER NOT NULL, 
	trial INTEGER, 
	kind TEXT NOT NULL, 
	slot TEXT, 
	payload TEXT NOT NULL, 
	at DOUBLE NOT NULL, 
	session INTEGER NOT NULL, 
	checksum TEXT NOT NULL, 
	PRIMARY KEY (run, seq), 
	UNIQUE (run, trial, slot), 
	FOREIGN KEY(run) REFERENCES runs (id), 
	FOREIGN KEY(session) REFERENCES sessions (id)
);
INSERT INTO "events" VALUES(1,1,0,'started','started','{"proposal":{"architecture":{"choices":[["stage1.kernel",2]]},"fidelity":{"epochs":2,"share":0.5},"parent":null,"why":{"by":"random"},"resume":null},"fingerprint":"f0"}',1.7953027028850536347e+09,1,'4cd6b635b91fc258fcc10d4b5ebf02c2');
INSERT INTO "events" VALUES(1,2,0,'measured','measured 0','{"values":{"accuracy":0.75,"loss":"nan"},"epoch":2,"seconds":1.5,"artifacts":{"checkpoint":"ab"},"notes":{"numerics":"fp32"}}',1.79530270289271640777e+09,1,'2af67c0fdbe8b5eb13d6b00f4f70b3f6');
INSERT INTO "events" VALUES(1,3,0,'finished','done','{"seconds":1.75}',1.79530270290068626401e+09,1,'02a5a9f6c78ecbc05783d4da2a90c0b5');
INSERT INTO "events" VALUES(1,4,NULL,'ended',NULL,'{"why":"budget"}',1.79530270290493535996e+09,1,'d408ae729f876840a5c2f5127d4f550d');
CREATE TABLE runs (
	id INTEGER NOT NULL, 
	name TEXT NOT NULL, 
	created DOUBLE NOT NULL, 
	header TEXT NOT NULL, 
	PRIMARY KEY (id), 
	UNIQUE (name)
);
INSERT INTO "runs" VALUES(1,'evening',1.79530270284441399578e+09,'{"task":"digits","seed":3}');
CREATE TABLE schema_version (
	version INTEGER NOT NULL, 
	archwright TEXT NOT NULL, 
	at DOUBLE NOT NULL, 
	PRIMARY KEY (version)
);
INSERT INTO "schema_version" VALUES(1,'0.1.0',1.79530270282996368405e+09);
CREATE TABLE sessions (
	id INTEGER NOT NULL, 
	run INTEGER NOT NULL, 
	host TEXT NOT NULL, 
	pid INTEGER NOT NULL, 
	process_started DOUBLE NOT NULL, 
	command TEXT NOT NULL, 
	archwright TEXT NOT NULL, 
	started DOUBLE NOT NULL, 
	beat DOUBLE NOT NULL, 
	ended DOUBLE, 
	PRIMARY KEY (id), 
	FOREIGN KEY(run) REFERENCES runs (id)
);
INSERT INTO "sessions" VALUES(1,1,'laptop',4242,1700000000.0,'archwright search digits','0.1.0',1.7953027028598072529e+09,1.79530270291628193859e+09,1.79530270291628193859e+09);
CREATE INDEX ix_sessions_run ON sessions (run);
CREATE INDEX events_by_kind ON events (run, kind);
COMMIT;
