--
-- Proves that every message of the protocol has a form in JSON, and that each
-- way leads back; what a document may be besides; and what is refused, where
-- it stands.
--

-- Every message, each member of a oneof. Bytes and documents were made by
-- Google's implementation of protobuf.
CREATE TEMP TABLE samples (n int, message text, bytes bytea, document jsonb);
INSERT INTO samples VALUES
  (1, 'atomix.election.CloseSessionRequest', '\x0a6e0a100a06746578742033120674657874203410fbffffffffffffffff0118faffffffffffffffff0120f9ffffffffffffffff012a1608f6ffffffffffffffff0110f5ffffffffffffffff012a1608f3ffffffffffffffff0110f2ffffffffffffffff01308f808080f8ffffffff011001',
    '{"header": {"name": {"name": "text 3", "namespace": "text 4"}, "sessionId": "18446744073709551611", "requestId": "18446744073709551610", "index": "18446744073709551609", "streams": [{"streamId": "18446744073709551606", "responseId": "18446744073709551605"}, {"streamId": "18446744073709551603", "responseId": "18446744073709551602"}], "partition": -2147483633}, "delete": true}'),
  (2, 'atomix.election.CloseSessionResponse', '\x0a4008feffffffffffffffff0110fdffffffffffffffff0118fcffffffffffffffff0120fbffffffffffffffff012a06746578742036300838014206746578742039',
    '{"header": {"sessionId": "18446744073709551614", "streamId": "18446744073709551613", "responseId": "18446744073709551612", "index": "18446744073709551611", "leader": "text 6", "status": "FORBIDDEN", "type": "OPEN_STREAM", "message": "text 9"}}'),
  (3, 'atomix.election.KeepAliveRequest', '\x0a6e0a100a06746578742033120674657874203410fbffffffffffffffff0118faffffffffffffffff0120f9ffffffffffffffff012a1608f6ffffffffffffffff0110f5ffffffffffffffff012a1608f3ffffffffffffffff0110f2ffffffffffffffff01308f808080f8ffffffff01',
    '{"header": {"name": {"name": "text 3", "namespace": "text 4"}, "sessionId": "18446744073709551611", "requestId": "18446744073709551610", "index": "18446744073709551609", "streams": [{"streamId": "18446744073709551606", "responseId": "18446744073709551605"}, {"streamId": "18446744073709551603", "responseId": "18446744073709551602"}], "partition": -2147483633}}'),
  (4, 'atomix.election.KeepAliveResponse', '\x0a4008feffffffffffffffff0110fdffffffffffffffff0118fcffffffffffffffff0120fbffffffffffffffff012a06746578742036300838014206746578742039',
    '{"header": {"sessionId": "18446744073709551614", "streamId": "18446744073709551613", "responseId": "18446744073709551612", "index": "18446744073709551611", "leader": "text 6", "status": "FORBIDDEN", "type": "OPEN_STREAM", "message": "text 9"}}'),
  (5, 'atomix.election.OpenSessionRequest', '\x0a6e0a100a06746578742033120674657874203410fbffffffffffffffff0118faffffffffffffffff0120f9ffffffffffffffff012a1608f6ffffffffffffffff0110f5ffffffffffffffff012a1608f3ffffffffffffffff0110f2ffffffffffffffff01308f808080f8ffffffff01120a0880a3051080cab5ee01',
    '{"header": {"name": {"name": "text 3", "namespace": "text 4"}, "sessionId": "18446744073709551611", "requestId": "18446744073709551610", "index": "18446744073709551609", "streams": [{"streamId": "18446744073709551606", "responseId": "18446744073709551605"}, {"streamId": "18446744073709551603", "responseId": "18446744073709551602"}], "partition": -2147483633}, "timeout": "86400.500s"}'),
  (6, 'atomix.election.OpenSessionResponse', '\x0a4008feffffffffffffffff0110fdffffffffffffffff0118fcffffffffffffffff0120fbffffffffffffffff012a06746578742036300838014206746578742039',
    '{"header": {"sessionId": "18446744073709551614", "streamId": "18446744073709551613", "responseId": "18446744073709551612", "index": "18446744073709551611", "leader": "text 6", "status": "FORBIDDEN", "type": "OPEN_STREAM", "message": "text 9"}}'),
  (7, 'atomix.headers.RequestHeader', '\x0a100a06746578742032120674657874203310fcffffffffffffffff0118fbffffffffffffffff0120faffffffffffffffff012a1608f7ffffffffffffffff0110f6ffffffffffffffff012a1608f4ffffffffffffffff0110f3ffffffffffffffff01308e808080f8ffffffff01',
    '{"name": {"name": "text 2", "namespace": "text 3"}, "sessionId": "18446744073709551612", "requestId": "18446744073709551611", "index": "18446744073709551610", "streams": [{"streamId": "18446744073709551607", "responseId": "18446744073709551606"}, {"streamId": "18446744073709551604", "responseId": "18446744073709551603"}], "partition": -2147483634}'),
  (8, 'atomix.headers.ResponseHeader', '\x08ffffffffffffffffff0110feffffffffffffffff0118fdffffffffffffffff0120fcffffffffffffffff012a06746578742035300738024206746578742038',
    '{"sessionId": "18446744073709551615", "streamId": "18446744073709551614", "responseId": "18446744073709551613", "index": "18446744073709551612", "leader": "text 5", "status": "UNAUTHORIZED", "type": "CLOSE_STREAM", "message": "text 8"}'),
  (9, 'atomix.headers.StreamHeader', '\x08ffffffffffffffffff0110feffffffffffffffff01',
    '{"streamId": "18446744073709551615", "responseId": "18446744073709551614"}'),
  (10, 'atomix.multiraft.counter.v1.CompareAndSetInput', '\x08818080808080808080011082808080808080808001',
    '{"compare": "-9223372036854775807", "update": "-9223372036854775806"}'),
  (11, 'atomix.multiraft.counter.v1.CompareAndSetOutput', '\x0881808080808080808001',
    '{"value": "-9223372036854775807"}'),
  (12, 'atomix.multiraft.counter.v1.CounterInput', '\x0a0b0882808080808080808001',
    '{"set": {"value": "-9223372036854775806"}}'),
  (13, 'atomix.multiraft.counter.v1.CounterInput', '\x121608828080808080808080011083808080808080808001',
    '{"compareAndSet": {"compare": "-9223372036854775806", "update": "-9223372036854775805"}}'),
  (14, 'atomix.multiraft.counter.v1.CounterInput', '\x1a00',
    '{"get": {}}'),
  (15, 'atomix.multiraft.counter.v1.CounterInput', '\x220b0882808080808080808001',
    '{"increment": {"delta": "-9223372036854775806"}}'),
  (16, 'atomix.multiraft.counter.v1.CounterInput', '\x2a0b0882808080808080808001',
    '{"decrement": {"delta": "-9223372036854775806"}}'),
  (17, 'atomix.multiraft.counter.v1.CounterInput', '\x42020801',
    '{"events": {"replay": true}}'),
  (18, 'atomix.multiraft.counter.v1.CounterOutput', '\x0a0b0882808080808080808001',
    '{"set": {"value": "-9223372036854775806"}}'),
  (19, 'atomix.multiraft.counter.v1.CounterOutput', '\x120b0882808080808080808001',
    '{"compareAndSet": {"value": "-9223372036854775806"}}'),
  (20, 'atomix.multiraft.counter.v1.CounterOutput', '\x1a0b0882808080808080808001',
    '{"get": {"value": "-9223372036854775806"}}'),
  (21, 'atomix.multiraft.counter.v1.CounterOutput', '\x220b0882808080808080808001',
    '{"increment": {"value": "-9223372036854775806"}}'),
  (22, 'atomix.multiraft.counter.v1.CounterOutput', '\x2a0b0882808080808080808001',
    '{"decrement": {"value": "-9223372036854775806"}}'),
  (23, 'atomix.multiraft.counter.v1.CounterOutput', '\x421a0a18080210848080808080808080011885808080808080808001',
    '{"events": {"event": {"type": "REPLAY", "value": "-9223372036854775804", "prevValue": "-9223372036854775803"}}}'),
  (24, 'atomix.multiraft.counter.v1.CounterSnapshot', '\x0881808080808080808001',
    '{"value": "-9223372036854775807"}'),
  (25, 'atomix.multiraft.counter.v1.DecrementInput', '\x0881808080808080808001',
    '{"delta": "-9223372036854775807"}'),
  (26, 'atomix.multiraft.counter.v1.DecrementOutput', '\x0881808080808080808001',
    '{"value": "-9223372036854775807"}'),
  (27, 'atomix.multiraft.counter.v1.Event', '\x080210828080808080808080011883808080808080808001',
    '{"type": "REPLAY", "value": "-9223372036854775806", "prevValue": "-9223372036854775805"}'),
  (28, 'atomix.multiraft.counter.v1.EventsInput', '\x0801',
    '{"replay": true}'),
  (29, 'atomix.multiraft.counter.v1.EventsOutput', '\x0a18080110838080808080808080011884808080808080808001',
    '{"event": {"type": "UPDATE", "value": "-9223372036854775805", "prevValue": "-9223372036854775804"}}'),
  (30, 'atomix.multiraft.counter.v1.GetInput', '\x',
    '{}'),
  (31, 'atomix.multiraft.counter.v1.GetOutput', '\x0881808080808080808001',
    '{"value": "-9223372036854775807"}'),
  (32, 'atomix.multiraft.counter.v1.IncrementInput', '\x0881808080808080808001',
    '{"delta": "-9223372036854775807"}'),
  (33, 'atomix.multiraft.counter.v1.IncrementOutput', '\x0881808080808080808001',
    '{"value": "-9223372036854775807"}'),
  (34, 'atomix.multiraft.counter.v1.SetInput', '\x0881808080808080808001',
    '{"value": "-9223372036854775807"}'),
  (35, 'atomix.multiraft.counter.v1.SetOutput', '\x0881808080808080808001',
    '{"value": "-9223372036854775807"}'),
  (36, 'atomix.multiraft.election.v1.AnointInput', '\x0a06746578742031',
    '{"candidate": "text 1"}'),
  (37, 'atomix.multiraft.election.v1.AnointOutput', '\x0a230a067465787420321206746578742034120674657874203518faffffffffffffffff01',
    '{"term": {"leader": "text 2", "candidates": ["text 4", "text 5"], "index": "18446744073709551610"}}'),
  (38, 'atomix.multiraft.election.v1.DemoteInput', '\x1206746578742031',
    '{"candidate": "text 1"}'),
  (39, 'atomix.multiraft.election.v1.DemoteOutput', '\x0a230a067465787420321206746578742034120674657874203518faffffffffffffffff01',
    '{"term": {"leader": "text 2", "candidates": ["text 4", "text 5"], "index": "18446744073709551610"}}'),
  (40, 'atomix.multiraft.election.v1.EnterInput', '\x0a06746578742031',
    '{"candidate": "text 1"}'),
  (41, 'atomix.multiraft.election.v1.EnterOutput', '\x0a230a067465787420321206746578742034120674657874203518faffffffffffffffff01',
    '{"term": {"leader": "text 2", "candidates": ["text 4", "text 5"], "index": "18446744073709551610"}}'),
  (42, 'atomix.multiraft.election.v1.EvictInput', '\x0a06746578742031',
    '{"candidate": "text 1"}'),
  (43, 'atomix.multiraft.election.v1.EvictOutput', '\x0a230a067465787420321206746578742034120674657874203518faffffffffffffffff01',
    '{"term": {"leader": "text 2", "candidates": ["text 4", "text 5"], "index": "18446744073709551610"}}'),
  (44, 'atomix.multiraft.election.v1.GetTermInput', '\x',
    '{}'),
  (45, 'atomix.multiraft.election.v1.GetTermOutput', '\x0a230a067465787420321206746578742034120674657874203518faffffffffffffffff01',
    '{"term": {"leader": "text 2", "candidates": ["text 4", "text 5"], "index": "18446744073709551610"}}'),
  (46, 'atomix.multiraft.election.v1.LeaderElectionInput', '\x0a080a06746578742032',
    '{"enter": {"candidate": "text 2"}}'),
  (47, 'atomix.multiraft.election.v1.LeaderElectionInput', '\x12080a06746578742032',
    '{"withdraw": {"candidate": "text 2"}}'),
  (48, 'atomix.multiraft.election.v1.LeaderElectionInput', '\x1a080a06746578742032',
    '{"anoint": {"candidate": "text 2"}}'),
  (49, 'atomix.multiraft.election.v1.LeaderElectionInput', '\x22081206746578742032',
    '{"promote": {"candidate": "text 2"}}'),
  (50, 'atomix.multiraft.election.v1.LeaderElectionInput', '\x2a080a06746578742032',
    '{"evict": {"candidate": "text 2"}}'),
  (51, 'atomix.multiraft.election.v1.LeaderElectionInput', '\x3200',
    '{"getTerm": {}}'),
  (52, 'atomix.multiraft.election.v1.LeaderElectionInput', '\x3a00',
    '{"watch": {}}'),
  (53, 'atomix.multiraft.election.v1.LeaderElectionInput', '\x42081206746578742032',
    '{"demote": {"candidate": "text 2"}}'),
  (54, 'atomix.multiraft.election.v1.LeaderElectionOutput', '\x0a250a230a067465787420331206746578742035120674657874203618f9ffffffffffffffff01',
    '{"enter": {"term": {"leader": "text 3", "candidates": ["text 5", "text 6"], "index": "18446744073709551609"}}}'),
  (55, 'atomix.multiraft.election.v1.LeaderElectionOutput', '\x12250a230a067465787420331206746578742035120674657874203618f9ffffffffffffffff01',
    '{"withdraw": {"term": {"leader": "text 3", "candidates": ["text 5", "text 6"], "index": "18446744073709551609"}}}'),
  (56, 'atomix.multiraft.election.v1.LeaderElectionOutput', '\x1a250a230a067465787420331206746578742035120674657874203618f9ffffffffffffffff01',
    '{"anoint": {"term": {"leader": "text 3", "candidates": ["text 5", "text 6"], "index": "18446744073709551609"}}}'),
  (57, 'atomix.multiraft.election.v1.LeaderElectionOutput', '\x22250a230a067465787420331206746578742035120674657874203618f9ffffffffffffffff01',
    '{"promote": {"term": {"leader": "text 3", "candidates": ["text 5", "text 6"], "index": "18446744073709551609"}}}'),
  (58, 'atomix.multiraft.election.v1.LeaderElectionOutput', '\x2a250a230a067465787420331206746578742035120674657874203618f9ffffffffffffffff01',
    '{"evict": {"term": {"leader": "text 3", "candidates": ["text 5", "text 6"], "index": "18446744073709551609"}}}'),
  (59, 'atomix.multiraft.election.v1.LeaderElectionOutput', '\x32250a230a067465787420331206746578742035120674657874203618f9ffffffffffffffff01',
    '{"getTerm": {"term": {"leader": "text 3", "candidates": ["text 5", "text 6"], "index": "18446744073709551609"}}}'),
  (60, 'atomix.multiraft.election.v1.LeaderElectionOutput', '\x3a250a230a067465787420331206746578742035120674657874203618f9ffffffffffffffff01',
    '{"watch": {"term": {"leader": "text 3", "candidates": ["text 5", "text 6"], "index": "18446744073709551609"}}}'),
  (61, 'atomix.multiraft.election.v1.LeaderElectionOutput', '\x42250a230a067465787420331206746578742035120674657874203618f9ffffffffffffffff01',
    '{"demote": {"term": {"leader": "text 3", "candidates": ["text 5", "text 6"], "index": "18446744073709551609"}}}'),
  (62, 'atomix.multiraft.election.v1.PromoteInput', '\x1206746578742031',
    '{"candidate": "text 1"}'),
  (63, 'atomix.multiraft.election.v1.PromoteOutput', '\x0a230a067465787420321206746578742034120674657874203518faffffffffffffffff01',
    '{"term": {"leader": "text 2", "candidates": ["text 4", "text 5"], "index": "18446744073709551610"}}'),
  (64, 'atomix.multiraft.election.v1.Term', '\x0a067465787420311206746578742033120674657874203418fbffffffffffffffff01',
    '{"leader": "text 1", "candidates": ["text 3", "text 4"], "index": "18446744073709551611"}'),
  (65, 'atomix.multiraft.election.v1.WatchInput', '\x',
    '{}'),
  (66, 'atomix.multiraft.election.v1.WatchOutput', '\x0a230a067465787420321206746578742034120674657874203518faffffffffffffffff01',
    '{"term": {"leader": "text 2", "candidates": ["text 4", "text 5"], "index": "18446744073709551610"}}'),
  (67, 'atomix.multiraft.election.v1.WithdrawInput', '\x0a06746578742031',
    '{"candidate": "text 1"}'),
  (68, 'atomix.multiraft.election.v1.WithdrawOutput', '\x0a230a067465787420321206746578742034120674657874203518faffffffffffffffff01',
    '{"term": {"leader": "text 2", "candidates": ["text 4", "text 5"], "index": "18446744073709551610"}}'),
  (69, 'atomix.multiraft.lock.v1.AcquireInput', '\x0a0a0880a3051080cab5ee01',
    '{"timeout": "86400.500s"}'),
  (70, 'atomix.multiraft.lock.v1.AcquireOutput', '\x08ffffffffffffffffff01',
    '{"index": "18446744073709551615"}'),
  (71, 'atomix.multiraft.lock.v1.GetInput', '\x',
    '{}'),
  (72, 'atomix.multiraft.lock.v1.GetOutput', '\x08ffffffffffffffffff01',
    '{"index": "18446744073709551615"}'),
  (73, 'atomix.multiraft.lock.v1.LockInput', '\x0a0c0a0a0880a3051080cab5ee01',
    '{"acquire": {"timeout": "86400.500s"}}'),
  (74, 'atomix.multiraft.lock.v1.LockInput', '\x1200',
    '{"release": {}}'),
  (75, 'atomix.multiraft.lock.v1.LockInput', '\x1a00',
    '{"get": {}}'),
  (76, 'atomix.multiraft.lock.v1.LockOutput', '\x0a0b08feffffffffffffffff01',
    '{"acquire": {"index": "18446744073709551614"}}'),
  (77, 'atomix.multiraft.lock.v1.LockOutput', '\x1200',
    '{"release": {}}'),
  (78, 'atomix.multiraft.lock.v1.LockOutput', '\x1a0b08feffffffffffffffff01',
    '{"get": {"index": "18446744073709551614"}}'),
  (79, 'atomix.multiraft.lock.v1.ReleaseInput', '\x',
    '{}'),
  (80, 'atomix.multiraft.lock.v1.ReleaseOutput', '\x',
    '{}'),
  (81, 'atomix.multiraft.map.v1.ClearInput', '\x',
    '{}'),
  (82, 'atomix.multiraft.map.v1.ClearOutput', '\x',
    '{}'),
  (83, 'atomix.multiraft.map.v1.EntriesInput', '\x0801',
    '{"watch": true}'),
  (84, 'atomix.multiraft.map.v1.EntriesOutput', '\x0a260a0674657874203212110a03fbff04120a0880a3051080cab5ee0118faffffffffffffffff01',
    '{"entry": {"key": "text 2", "value": {"value": "+/8E", "ttl": "86400.500s"}, "index": "18446744073709551610"}}'),
  (85, 'atomix.multiraft.map.v1.Entry', '\x0a0674657874203112110a03fbff03120a0880a3051080cab5ee0118fbffffffffffffffff01',
    '{"key": "text 1", "value": {"value": "+/8D", "ttl": "86400.500s"}, "index": "18446744073709551611"}'),
  (86, 'atomix.multiraft.map.v1.Event', '\x080212260a0674657874203312110a03fbff05120a0880a3051080cab5ee0118f9ffffffffffffffff01',
    '{"type": "UPDATE", "entry": {"key": "text 3", "value": {"value": "+/8F", "ttl": "86400.500s"}, "index": "18446744073709551609"}}'),
  (87, 'atomix.multiraft.map.v1.EventsInput', '\x0a067465787420311001',
    '{"key": "text 1", "replay": true}'),
  (88, 'atomix.multiraft.map.v1.EventsOutput', '\x0a2a080312260a0674657874203412110a03fbff06120a0880a3051080cab5ee0118f8ffffffffffffffff01',
    '{"event": {"type": "REMOVE", "entry": {"key": "text 4", "value": {"value": "+/8G", "ttl": "86400.500s"}, "index": "18446744073709551608"}}}'),
  (89, 'atomix.multiraft.map.v1.GetInput', '\x0a06746578742031',
    '{"key": "text 1"}'),
  (90, 'atomix.multiraft.map.v1.GetOutput', '\x0a260a0674657874203212110a03fbff04120a0880a3051080cab5ee0118faffffffffffffffff01',
    '{"entry": {"key": "text 2", "value": {"value": "+/8E", "ttl": "86400.500s"}, "index": "18446744073709551610"}}'),
  (91, 'atomix.multiraft.map.v1.InsertInput', '\x0a0674657874203112110a03fbff03120a0880a3051080cab5ee01',
    '{"key": "text 1", "value": {"value": "+/8D", "ttl": "86400.500s"}}'),
  (92, 'atomix.multiraft.map.v1.InsertOutput', '\x0a260a0674657874203212110a03fbff04120a0880a3051080cab5ee0118faffffffffffffffff01',
    '{"entry": {"key": "text 2", "value": {"value": "+/8E", "ttl": "86400.500s"}, "index": "18446744073709551610"}}'),
  (93, 'atomix.multiraft.map.v1.MapEntry', '\x0a1308feffffffffffffffff01120674657874203312130a03fbff05120c089897f7cb061080cab5ee01',
    '{"key": {"index": "18446744073709551614", "key": "text 3"}, "value": {"value": "+/8F", "expire": "2026-01-31T09:30:00.500Z"}}'),
  (94, 'atomix.multiraft.map.v1.MapInput', '\x0a00',
    '{"size": {}}'),
  (95, 'atomix.multiraft.map.v1.MapInput', '\x12260a0674657874203212110a03fbff04120a0880a3051080cab5ee0118faffffffffffffffff01',
    '{"put": {"key": "text 2", "value": {"value": "+/8E", "ttl": "86400.500s"}, "index": "18446744073709551610"}}'),
  (96, 'atomix.multiraft.map.v1.MapInput', '\x1a1b0a0674657874203212110a03fbff04120a0880a3051080cab5ee01',
    '{"insert": {"key": "text 2", "value": {"value": "+/8E", "ttl": "86400.500s"}}}'),
  (97, 'atomix.multiraft.map.v1.MapInput', '\x22260a0674657874203212110a03fbff04120a0880a3051080cab5ee0118faffffffffffffffff01',
    '{"update": {"key": "text 2", "value": {"value": "+/8E", "ttl": "86400.500s"}, "index": "18446744073709551610"}}'),
  (98, 'atomix.multiraft.map.v1.MapInput', '\x2a080a06746578742032',
    '{"get": {"key": "text 2"}}'),
  (99, 'atomix.multiraft.map.v1.MapInput', '\x32130a0674657874203210fdffffffffffffffff01',
    '{"remove": {"key": "text 2", "index": "18446744073709551613"}}'),
  (100, 'atomix.multiraft.map.v1.MapInput', '\x3a00',
    '{"clear": {}}'),
  (101, 'atomix.multiraft.map.v1.MapInput', '\x420a0a067465787420321001',
    '{"events": {"key": "text 2", "replay": true}}'),
  (102, 'atomix.multiraft.map.v1.MapInput', '\x4a020801',
    '{"entries": {"watch": true}}'),
  (103, 'atomix.multiraft.map.v1.MapKey', '\x08ffffffffffffffffff011206746578742032',
    '{"index": "18446744073709551615", "key": "text 2"}'),
  (104, 'atomix.multiraft.map.v1.MapListener', '\x08ffffffffffffffffff011206746578742032',
    '{"index": "18446744073709551615", "key": "text 2"}'),
  (105, 'atomix.multiraft.map.v1.MapOutput', '\x0a0608feffffff0f',
    '{"size": {"size": 4294967294}}'),
  (106, 'atomix.multiraft.map.v1.MapOutput', '\x12280a260a0674657874203312110a03fbff05120a0880a3051080cab5ee0118f9ffffffffffffffff01',
    '{"put": {"entry": {"key": "text 3", "value": {"value": "+/8F", "ttl": "86400.500s"}, "index": "18446744073709551609"}}}'),
  (107, 'atomix.multiraft.map.v1.MapOutput', '\x1a280a260a0674657874203312110a03fbff05120a0880a3051080cab5ee0118f9ffffffffffffffff01',
    '{"insert": {"entry": {"key": "text 3", "value": {"value": "+/8F", "ttl": "86400.500s"}, "index": "18446744073709551609"}}}'),
  (108, 'atomix.multiraft.map.v1.MapOutput', '\x22280a260a0674657874203312110a03fbff05120a0880a3051080cab5ee0118f9ffffffffffffffff01',
    '{"update": {"entry": {"key": "text 3", "value": {"value": "+/8F", "ttl": "86400.500s"}, "index": "18446744073709551609"}}}'),
  (109, 'atomix.multiraft.map.v1.MapOutput', '\x2a280a260a0674657874203312110a03fbff05120a0880a3051080cab5ee0118f9ffffffffffffffff01',
    '{"get": {"entry": {"key": "text 3", "value": {"value": "+/8F", "ttl": "86400.500s"}, "index": "18446744073709551609"}}}'),
  (110, 'atomix.multiraft.map.v1.MapOutput', '\x32280a260a0674657874203312110a03fbff05120a0880a3051080cab5ee0118f9ffffffffffffffff01',
    '{"remove": {"entry": {"key": "text 3", "value": {"value": "+/8F", "ttl": "86400.500s"}, "index": "18446744073709551609"}}}'),
  (111, 'atomix.multiraft.map.v1.MapOutput', '\x3a00',
    '{"clear": {}}'),
  (112, 'atomix.multiraft.map.v1.MapOutput', '\x422c0a2a080412260a0674657874203512110a03fbff07120a0880a3051080cab5ee0118f7ffffffffffffffff01',
    '{"events": {"event": {"type": "REPLAY", "entry": {"key": "text 5", "value": {"value": "+/8H", "ttl": "86400.500s"}, "index": "18446744073709551607"}}}}'),
  (113, 'atomix.multiraft.map.v1.MapOutput', '\x4a280a260a0674657874203312110a03fbff05120a0880a3051080cab5ee0118f9ffffffffffffffff01',
    '{"entries": {"entry": {"key": "text 3", "value": {"value": "+/8F", "ttl": "86400.500s"}, "index": "18446744073709551609"}}}'),
  (114, 'atomix.multiraft.map.v1.MapSnapshot', '\x0a1308fdffffffffffffffff0112067465787420340a1308faffffffffffffffff011206746578742037122b0a1408f5ffffffffffffffff0112077465787420313212130a03fbff0e120c089897f7cb061080cab5ee01122b0a1408eeffffffffffffffff0112077465787420313912130a03fbff15120c089897f7cb061080cab5ee01',
    '{"listeners": [{"index": "18446744073709551613", "key": "text 4"}, {"index": "18446744073709551610", "key": "text 7"}], "entries": [{"key": {"index": "18446744073709551605", "key": "text 12"}, "value": {"value": "+/8O", "expire": "2026-01-31T09:30:00.500Z"}}, {"key": {"index": "18446744073709551598", "key": "text 19"}, "value": {"value": "+/8V", "expire": "2026-01-31T09:30:00.500Z"}}]}'),
  (115, 'atomix.multiraft.map.v1.MapValue', '\x0a03fbff01120c089897f7cb061080cab5ee01',
    '{"value": "+/8B", "expire": "2026-01-31T09:30:00.500Z"}'),
  (116, 'atomix.multiraft.map.v1.PutInput', '\x0a0674657874203112110a03fbff03120a0880a3051080cab5ee0118fbffffffffffffffff01',
    '{"key": "text 1", "value": {"value": "+/8D", "ttl": "86400.500s"}, "index": "18446744073709551611"}'),
  (117, 'atomix.multiraft.map.v1.PutOutput', '\x0a260a0674657874203212110a03fbff04120a0880a3051080cab5ee0118faffffffffffffffff01',
    '{"entry": {"key": "text 2", "value": {"value": "+/8E", "ttl": "86400.500s"}, "index": "18446744073709551610"}}'),
  (118, 'atomix.multiraft.map.v1.RemoveInput', '\x0a0674657874203110feffffffffffffffff01',
    '{"key": "text 1", "index": "18446744073709551614"}'),
  (119, 'atomix.multiraft.map.v1.RemoveOutput', '\x0a260a0674657874203212110a03fbff04120a0880a3051080cab5ee0118faffffffffffffffff01',
    '{"entry": {"key": "text 2", "value": {"value": "+/8E", "ttl": "86400.500s"}, "index": "18446744073709551610"}}'),
  (120, 'atomix.multiraft.map.v1.SizeInput', '\x',
    '{}'),
  (121, 'atomix.multiraft.map.v1.SizeOutput', '\x08ffffffff0f',
    '{"size": 4294967295}'),
  (122, 'atomix.multiraft.map.v1.UpdateInput', '\x0a0674657874203112110a03fbff03120a0880a3051080cab5ee0118fbffffffffffffffff01',
    '{"key": "text 1", "value": {"value": "+/8D", "ttl": "86400.500s"}, "index": "18446744073709551611"}'),
  (123, 'atomix.multiraft.map.v1.UpdateOutput', '\x0a260a0674657874203212110a03fbff04120a0880a3051080cab5ee0118faffffffffffffffff01',
    '{"entry": {"key": "text 2", "value": {"value": "+/8E", "ttl": "86400.500s"}, "index": "18446744073709551610"}}'),
  (124, 'atomix.multiraft.map.v1.Value', '\x0a03fbff01120a0880a3051080cab5ee01',
    '{"value": "+/8B", "ttl": "86400.500s"}'),
  (125, 'atomix.multiraft.v1.CloseServiceInput', '\x08ffffffffffffffffff01',
    '{"serviceId": "18446744073709551615"}'),
  (126, 'atomix.multiraft.v1.CloseServiceOutput', '\x',
    '{}'),
  (127, 'atomix.multiraft.v1.CloseSessionInput', '\x08ffffffffffffffffff01',
    '{"sessionId": "18446744073709551615"}'),
  (128, 'atomix.multiraft.v1.CloseSessionOutput', '\x',
    '{}'),
  (129, 'atomix.multiraft.v1.CloseSessionRequest', '\x0a0608feffffff0f120b08fcffffffffffffffff01',
    '{"headers": {"partitionId": 4294967294}, "input": {"sessionId": "18446744073709551612"}}'),
  (130, 'atomix.multiraft.v1.CloseSessionResponse', '\x0a1508feffffffffffffffff0110041a067465787420341200',
    '{"headers": {"index": "18446744073709551614", "status": "NOT_FOUND", "message": "text 4"}, "output": {}}'),
  (131, 'atomix.multiraft.v1.CommandRequestHeaders', '\x0a280a200a130a0608fbffffff0f10faffffffffffffffff0110f9ffffffffffffffff0110f8ffffff0f10f7ffffffffffffffff01',
    '{"operation": {"session": {"session": {"partition": {"partitionId": 4294967291}, "sessionId": "18446744073709551610"}, "serviceId": "18446744073709551609"}, "operationId": 4294967288}, "commandSequenceNum": "18446744073709551607"}'),
  (132, 'atomix.multiraft.v1.CommandResponseHeaders', '\x0a1b0a190a170a1508fbffffffffffffffff0110071a0674657874203710f8ffffffffffffffff01',
    '{"operation": {"session": {"session": {"partition": {"index": "18446744073709551611", "status": "FORBIDDEN", "message": "text 7"}}}}, "outputSequenceNum": "18446744073709551608"}'),
  (133, 'atomix.multiraft.v1.CreateServiceInput', '\x0a0674657874203112067465787420321a06746578742033',
    '{"service": "text 1", "namespace": "text 2", "name": "text 3"}'),
  (134, 'atomix.multiraft.v1.CreateServiceOutput', '\x08ffffffffffffffffff01',
    '{"serviceId": "18446744073709551615"}'),
  (135, 'atomix.multiraft.v1.KeepAliveInput', '\x08ffffffffffffffffff0110feffffffffffffffff011a03fbff03221608fcffffffffffffffff0110fcffffffffffffffff01',
    '{"sessionId": "18446744073709551615", "lastCommandSequenceNum": "18446744073709551614", "pendingCommandsFilter": "+/8D", "outputStreamSequenceNums": {"18446744073709551612": "18446744073709551612"}}'),
  (136, 'atomix.multiraft.v1.KeepAliveOutput', '\x',
    '{}'),
  (137, 'atomix.multiraft.v1.KeepAliveRequest', '\x0a0608feffffff0f123308fcffffffffffffffff0110fbffffffffffffffff011a03fbff06221608f9ffffffffffffffff0110f9ffffffffffffffff01',
    '{"headers": {"partitionId": 4294967294}, "input": {"sessionId": "18446744073709551612", "lastCommandSequenceNum": "18446744073709551611", "pendingCommandsFilter": "+/8G", "outputStreamSequenceNums": {"18446744073709551609": "18446744073709551609"}}}'),
  (138, 'atomix.multiraft.v1.KeepAliveResponse', '\x0a1508feffffffffffffffff0110041a067465787420341200',
    '{"headers": {"index": "18446744073709551614", "status": "NOT_FOUND", "message": "text 4"}, "output": {}}'),
  (139, 'atomix.multiraft.v1.LeaderEvent', '\x0a0608feffffff0f10fdffffffffffffffff0118fcffffffffffffffff01',
    '{"partition": {"partitionId": 4294967294}, "term": "18446744073709551613", "leader": "18446744073709551612"}'),
  (140, 'atomix.multiraft.v1.LeaderUpdatedEvent', '\x0a1e0a0608fdffffff0f10fcffffffffffffffff0118fbffffffffffffffff01',
    '{"leader": {"partition": {"partitionId": 4294967293}, "term": "18446744073709551612", "leader": "18446744073709551611"}}'),
  (141, 'atomix.multiraft.v1.OpenSessionInput', '\x0a0a0880a3051080cab5ee01',
    '{"timeout": "86400.500s"}'),
  (142, 'atomix.multiraft.v1.OpenSessionOutput', '\x08ffffffffffffffffff01',
    '{"sessionId": "18446744073709551615"}'),
  (143, 'atomix.multiraft.v1.OpenSessionRequest', '\x0a0608feffffff0f120c0a0a0880a3051080cab5ee01',
    '{"headers": {"partitionId": 4294967294}, "input": {"timeout": "86400.500s"}}'),
  (144, 'atomix.multiraft.v1.OpenSessionResponse', '\x0a1508feffffffffffffffff0110041a06746578742034120b08faffffffffffffffff01',
    '{"headers": {"index": "18446744073709551614", "status": "NOT_FOUND", "message": "text 4"}, "output": {"sessionId": "18446744073709551610"}}'),
  (145, 'atomix.multiraft.v1.OperationRequestHeaders', '\x0a200a130a0608fcffffff0f10fbffffffffffffffff0110faffffffffffffffff0110f9ffffff0f',
    '{"session": {"session": {"partition": {"partitionId": 4294967292}, "sessionId": "18446744073709551611"}, "serviceId": "18446744073709551610"}, "operationId": 4294967289}'),
  (146, 'atomix.multiraft.v1.OperationResponseHeaders', '\x0a190a170a1508fcffffffffffffffff0110061a06746578742036',
    '{"session": {"session": {"partition": {"index": "18446744073709551612", "status": "UNAUTHORIZED", "message": "text 6"}}}}'),
  (147, 'atomix.multiraft.v1.PartitionEvent', '\x08ffffffff0f',
    '{"partitionId": 4294967295}'),
  (148, 'atomix.multiraft.v1.PartitionInput', '\x0a0c0a0a0880a3051080cab5ee01',
    '{"openSession": {"timeout": "86400.500s"}}'),
  (149, 'atomix.multiraft.v1.PartitionInput', '\x123308feffffffffffffffff0110fdffffffffffffffff011a03fbff04221608fbffffffffffffffff0110fbffffffffffffffff01',
    '{"keepAlive": {"sessionId": "18446744073709551614", "lastCommandSequenceNum": "18446744073709551613", "pendingCommandsFilter": "+/8E", "outputStreamSequenceNums": {"18446744073709551611": "18446744073709551611"}}}'),
  (150, 'atomix.multiraft.v1.PartitionInput', '\x1a0b08feffffffffffffffff01',
    '{"closeSession": {"sessionId": "18446744073709551614"}}'),
  (151, 'atomix.multiraft.v1.PartitionInput', '\x222508feffffffffffffffff0112180a0674657874203412067465787420351a06746578742036',
    '{"sessionInput": {"sessionId": "18446744073709551614", "createService": {"service": "text 4", "namespace": "text 5", "name": "text 6"}}}'),
  (152, 'atomix.multiraft.v1.PartitionOutput', '\x0a0b08feffffffffffffffff01',
    '{"openSession": {"sessionId": "18446744073709551614"}}'),
  (153, 'atomix.multiraft.v1.PartitionOutput', '\x1200',
    '{"keepAlive": {}}'),
  (154, 'atomix.multiraft.v1.PartitionOutput', '\x1a00',
    '{"closeSession": {}}'),
  (155, 'atomix.multiraft.v1.PartitionOutput', '\x220d0a0b08fdffffffffffffffff01',
    '{"sessionOutput": {"createService": {"serviceId": "18446744073709551613"}}}'),
  (156, 'atomix.multiraft.v1.PartitionRequestHeaders', '\x08ffffffff0f',
    '{"partitionId": 4294967295}'),
  (157, 'atomix.multiraft.v1.PartitionResponseHeaders', '\x08ffffffffffffffffff0110031a06746578742033',
    '{"index": "18446744073709551615", "status": "CANCELED", "message": "text 3"}'),
  (158, 'atomix.multiraft.v1.QueryRequestHeaders', '\x0a280a200a130a0608fbffffff0f10faffffffffffffffff0110f9ffffffffffffffff0110f8ffffff0f10f7ffffffffffffffff01',
    '{"operation": {"session": {"session": {"partition": {"partitionId": 4294967291}, "sessionId": "18446744073709551610"}, "serviceId": "18446744073709551609"}, "operationId": 4294967288}, "lastCommandSequenceNum": "18446744073709551607"}'),
  (159, 'atomix.multiraft.v1.QueryResponseHeaders', '\x0a1b0a190a170a1508fbffffffffffffffff0110071a06746578742037',
    '{"operation": {"session": {"session": {"partition": {"index": "18446744073709551611", "status": "FORBIDDEN", "message": "text 7"}}}}}'),
  (160, 'atomix.multiraft.v1.ServiceInput', '\x08ffffffffffffffffff011203fbff02',
    '{"serviceId": "18446744073709551615", "payload": "+/8C"}'),
  (161, 'atomix.multiraft.v1.ServiceOutput', '\x0a03fbff01',
    '{"payload": "+/8B"}'),
  (162, 'atomix.multiraft.v1.ServiceRequestHeaders', '\x0a130a0608fdffffff0f10fcffffffffffffffff0110fbffffffffffffffff01',
    '{"session": {"partition": {"partitionId": 4294967293}, "sessionId": "18446744073709551612"}, "serviceId": "18446744073709551611"}'),
  (163, 'atomix.multiraft.v1.ServiceResponseHeaders', '\x0a170a1508fdffffffffffffffff0110051a06746578742035',
    '{"session": {"partition": {"index": "18446744073709551613", "status": "ALREADY_EXISTS", "message": "text 5"}}}'),
  (164, 'atomix.multiraft.v1.SessionInput', '\x08ffffffffffffffffff0112180a0674657874203312067465787420341a06746578742035',
    '{"sessionId": "18446744073709551615", "createService": {"service": "text 3", "namespace": "text 4", "name": "text 5"}}'),
  (165, 'atomix.multiraft.v1.SessionInput', '\x08ffffffffffffffffff011a0b08fdffffffffffffffff01',
    '{"sessionId": "18446744073709551615", "closeService": {"serviceId": "18446744073709551613"}}'),
  (166, 'atomix.multiraft.v1.SessionInput', '\x08ffffffffffffffffff01221008fdffffffffffffffff011203fbff04',
    '{"sessionId": "18446744073709551615", "serviceInput": {"serviceId": "18446744073709551613", "payload": "+/8E"}}'),
  (167, 'atomix.multiraft.v1.SessionOutput', '\x0a0b08feffffffffffffffff01',
    '{"createService": {"serviceId": "18446744073709551614"}}'),
  (168, 'atomix.multiraft.v1.SessionOutput', '\x1200',
    '{"closeService": {}}'),
  (169, 'atomix.multiraft.v1.SessionOutput', '\x1a050a03fbff02',
    '{"serviceOutput": {"payload": "+/8C"}}'),
  (170, 'atomix.multiraft.v1.SessionRequestHeaders', '\x0a0608feffffff0f10fdffffffffffffffff01',
    '{"partition": {"partitionId": 4294967294}, "sessionId": "18446744073709551613"}'),
  (171, 'atomix.multiraft.v1.SessionResponseHeaders', '\x0a1508feffffffffffffffff0110041a06746578742034',
    '{"partition": {"index": "18446744073709551614", "status": "NOT_FOUND", "message": "text 4"}}'),
  (172, 'atomix.multiraft.v1.WatchPartitionRequest', '\x08ffffffff0f',
    '{"partitionId": 4294967295}'),
  (173, 'atomix.multiraft.v1.WatchPartitionResponse', '\x0a0c089897f7cb061080cab5ee0112200a1e0a0608fbffffff0f10faffffffffffffffff0118f9ffffffffffffffff01',
    '{"timestamp": "2026-01-31T09:30:00.500Z", "leaderUpdated": {"leader": {"partition": {"partitionId": 4294967291}, "term": "18446744073709551610", "leader": "18446744073709551609"}}}'),
  (174, 'atomix.primitive.Name', '\x0a067465787420311206746578742032',
    '{"name": "text 1", "namespace": "text 2"}'),
  (175, 'atomix.runtime.v1.GetSessionRequest', '\x0a120a0674657874203212080a06746578742034',
    '{"sessionId": {"name": "text 2", "primitive": {"id": "text 4"}}}'),
  (176, 'atomix.runtime.v1.GetSessionResponse', '\x0a520a310a120a0674657874203412080a0674657874203610f9ffffffffffffffff011a100a06746578742038120674657874203812190a0774657874203130120e0a07746578742031321203fbff0d1a020804',
    '{"session": {"meta": {"id": {"name": "text 4", "primitive": {"id": "text 6"}}, "version": "18446744073709551609", "labels": {"text 8": "text 8"}}, "spec": {"kind": "text 10", "config": {"typeUrl": "text 12", "value": "+/8N"}}, "status": {"state": "CLOSED"}}}'),
  (177, 'atomix.runtime.v1.ListSessionsRequest', '\x0a067465787420311001',
    '{"type": "text 1", "watch": true}'),
  (178, 'atomix.runtime.v1.ListSessionsResponse', '\x0a520a310a120a0674657874203512080a0674657874203710f8ffffffffffffffff011a100a06746578742039120674657874203912190a0774657874203131120e0a07746578742031331203fbff0e1a0208010a560a350a140a077465787420323012090a077465787420323210e9ffffffffffffffff011a120a077465787420323412077465787420323412190a0774657874203236120e0a07746578742032381203fbff1d1a020804',
    '{"sessions": [{"meta": {"id": {"name": "text 5", "primitive": {"id": "text 7"}}, "version": "18446744073709551608", "labels": {"text 9": "text 9"}}, "spec": {"kind": "text 11", "config": {"typeUrl": "text 13", "value": "+/8O"}}, "status": {"state": "OPENING"}}, {"meta": {"id": {"name": "text 20", "primitive": {"id": "text 22"}}, "version": "18446744073709551593", "labels": {"text 24": "text 24"}}, "spec": {"kind": "text 26", "config": {"typeUrl": "text 28", "value": "+/8d"}}, "status": {"state": "CLOSED"}}]}'),
  (179, 'atomix.runtime.v1.PrimitiveId', '\x0a06746578742031',
    '{"id": "text 1"}'),
  (180, 'atomix.runtime.v1.Session', '\x0a310a120a0674657874203312080a0674657874203510faffffffffffffffff011a100a06746578742037120674657874203712180a06746578742039120e0a07746578742031311203fbff0c1a020803',
    '{"meta": {"id": {"name": "text 3", "primitive": {"id": "text 5"}}, "version": "18446744073709551610", "labels": {"text 7": "text 7"}}, "spec": {"kind": "text 9", "config": {"typeUrl": "text 11", "value": "+/8M"}}, "status": {"state": "CLOSING"}}'),
  (181, 'atomix.runtime.v1.SessionId', '\x0a0674657874203112080a06746578742033',
    '{"name": "text 1", "primitive": {"id": "text 3"}}'),
  (182, 'atomix.runtime.v1.SessionMeta', '\x0a120a0674657874203212080a0674657874203410fbffffffffffffffff011a100a067465787420361206746578742036',
    '{"id": {"name": "text 2", "primitive": {"id": "text 4"}}, "version": "18446744073709551611", "labels": {"text 6": "text 6"}}'),
  (183, 'atomix.runtime.v1.SessionSpec', '\x0a06746578742031120d0a067465787420331203fbff04',
    '{"kind": "text 1", "config": {"typeUrl": "text 3", "value": "+/8E"}}'),
  (184, 'atomix.runtime.v1.SessionStatus', '\x0802',
    '{"state": "OPENED"}'),
  (185, 'google.protobuf.Any', '\x0a067465787420311203fbff02',
    '{"typeUrl": "text 1", "value": "+/8C"}'),
  (186, 'google.protobuf.Duration', '\x0880a3051080cab5ee01',
    '"86400.500s"'),
  (187, 'google.protobuf.Timestamp', '\x089897f7cb061080cab5ee01',
    '"2026-01-31T09:30:00.500Z"');
SELECT count(*), count(DISTINCT message) AS messages FROM samples;
SELECT * FROM samples WHERE atomix.message_to_json(message, bytes) IS DISTINCT FROM document;
SELECT * FROM samples WHERE atomix.message_from_json(message, document) IS DISTINCT FROM bytes;
-- No bytes are an empty message; a time has a form of its own.
SELECT message, atomix.message_to_json(message, '') FROM samples
  WHERE atomix.message_to_json(message, '') <> '{}' GROUP BY message ORDER BY message;

-- What is not known is not shown; of a map's equal keys the last one counts.
SELECT atomix.message_to_json('atomix.multiraft.v1.PartitionEvent', '\x0807f8060a'),
  atomix.message_to_json('atomix.multiraft.v1.KeepAliveInput', '\x22040801100222040801100322021004');
-- Both layouts of KeepAliveInput.
SELECT atomix.message_to_json('atomix.multiraft.v1.KeepAliveInput', '\x080110071a0178'),
  atomix.message_to_json('atomix.multiraft.v1.KeepAliveInput', '\x08011201781807');
-- The package of the first generation, under either name.
SELECT atomix.message_to_json('atomix.session.KeepAliveRequest', '\x0a021005'),
  atomix.message_from_json('atomix.session.KeepAliveRequest', '{"header": {"sessionId": 5}}');

-- Statuses have names in the numbering of their generation.
SELECT n, atomix.message_to_json('atomix.headers.ResponseHeader', decode('30' || lpad(to_hex(n), 2, '0'), 'hex')) -> 'status' AS first,
  atomix.message_to_json('atomix.multiraft.v1.PartitionResponseHeaders', decode('10' || lpad(to_hex(n), 2, '0'), 'hex')) -> 'status' AS multiraft
  FROM generate_series(0, 15) AS n;

--
-- Other spellings
--
\a
CREATE FUNCTION pg_temp.reads(message text, document jsonb) RETURNS text LANGUAGE sql AS $$
  SELECT test.outcome(format('SELECT atomix.message_from_json(%L, %L)', message, document))
$$;
-- What comes back of a document.
CREATE FUNCTION pg_temp.reread(message text, document jsonb) RETURNS text LANGUAGE sql AS $$
  SELECT test.outcome(format('SELECT atomix.message_to_json(%1$L, atomix.message_from_json(%1$L, %2$L))', message, document))
$$;
SELECT document, pg_temp.reread('atomix.multiraft.v1.KeepAliveInput', document::jsonb) FROM (VALUES
  (1, '{}'),
  (2, '{"sessionId": "7"}'), (3, '{"session_id": "7"}'), (4, '{"session_id": 7}'),
  (5, '{"sessionId": null, "session_id": 7, "outputStreamSequenceNums": null}'),
  (6, '{"sessionId": 18446744073709551615}'), (7, '{"sessionId": "18446744073709551615"}'),
  (8, '{"sessionId": 1e3}'), (9, '{"sessionId": "1e3"}'), (10, '{"sessionId": 1.500e1}'),
  (11, '{"sessionId": "12.0"}'), (12, '{"sessionId": "12000E-3"}'), (13, '{"sessionId": -0}'),
  (14, '{"sessionId": "-0.0"}'), (15, '{"sessionId": "0e999999999999"}'), (16, '{"sessionId": 1844674407370955161.5e1}'),
  (17, '{"sessionId": 1, "sessionId": 2}'),
  (18, '{"pendingCommandsFilter": ""}'), (19, '{"pendingCommandsFilter": "AA=="}'),
  (20, '{"pendingCommandsFilter": "AA"}'), (21, '{"pendingCommandsFilter": "+/-_"}'),
  (22, '{"pendingCommandsFilter": "AAA="}'), (23, '{"pendingCommandsFilter": "AAB"}'),
  (24, '{"outputStreamSequenceNums": {}}'), (25, '{"outputStreamSequenceNums": {"1": 2, "3": "4", "0": 0}}')
) AS v (n, document) ORDER BY n;
SELECT document, pg_temp.reads('atomix.headers.ResponseHeader', document) FROM (VALUES
  (1, '{"status": "NOT_FOUND"}'::jsonb), (2, '{"status": 5}'), (3, '{"status": 77}'), (4, '{"status": -1}'),
  (5, '{"status": 0}'), (6, '{"status": "OK"}'), (7, '{"type": "CLOSE_STREAM"}'), (8, '{"type": 2.0}')
) AS v (n, document) ORDER BY n;
SELECT pg_temp.reread('atomix.headers.ResponseHeader', '{"status": 77, "type": -1}');
SELECT document, pg_temp.reread('google.protobuf.Duration', document) FROM (VALUES
  (1, '"1s"'::jsonb), (2, '"-1s"'), (3, '"1.5s"'), (4, '"-0.5s"'), (5, '"0.000001s"'), (6, '"1.0000010s"'),
  (7, '"0.123456789s"'), (8, '"0s"'), (9, '"-0s"'), (10, '"315576000000s"'), (11, '"-315576000000s"'), (12, '"007s"')
) AS v (n, document) ORDER BY n;
SELECT document, pg_temp.reread('google.protobuf.Timestamp', document) FROM (VALUES
  (1, '"1970-01-01T00:00:00Z"'::jsonb), (2, '"2024-02-29T23:59:59.5Z"'), (3, '"1900-03-01T00:00:00.000001Z"'),
  (4, '"2000-02-29T12:00:00.123456789Z"'), (5, '"2026-01-31T09:30:00+05:30"'), (6, '"2026-01-31T23:30:00-01:00"'),
  (7, '"0001-01-01T00:00:00Z"'), (8, '"9999-12-31T23:59:59.999999999Z"')
) AS v (n, document) ORDER BY n;
-- An Any is its two fields; what it holds is not looked at.
SELECT pg_temp.reread('google.protobuf.Any', '{"typeUrl": "type.googleapis.com/x.Y", "value": "AQI="}');
SELECT pg_temp.reads('google.protobuf.Any', '{"@type": "type.googleapis.com/google.protobuf.Duration", "value": "1s"}');

--
-- What is refused
--
SELECT document, pg_temp.reads('atomix.multiraft.v1.KeepAliveRequest', document) FROM (VALUES
  (1, 'null'::jsonb), (2, '[]'), (3, '"x"'), (4, '7'), (5, 'true'), (6, '[{}]'),
  (7, '{"input": 1}'), (8, '{"input": []}'), (9, '{"input": "{}"}'),
  (10, '{"header": {}}'), (11, '{"": 1}'), (12, '{"Headers": {}}'), (13, '{"input": {"SessionId": 1}}'),
  (14, '{"input": {"unknown": null}}'), (15, '{"input": {"a\"b\\c\nd": 1}}'),
  (16, '{"input": {"sessionId": 1, "session_id": 1}}'),
  (17, '{"input": {"sessionId": true}}'), (18, '{"input": {"sessionId": {}}}'), (19, '{"input": {"sessionId": [1]}}'),
  (20, '{"input": {"sessionId": ""}}'), (21, '{"input": {"sessionId": " 1"}}'), (22, '{"input": {"sessionId": "1 "}}'),
  (23, '{"input": {"sessionId": "+1"}}'), (24, '{"input": {"sessionId": "01"}}'), (25, '{"input": {"sessionId": "0x1"}}'),
  (26, '{"input": {"sessionId": "1."}}'), (27, '{"input": {"sessionId": ".1"}}'), (28, '{"input": {"sessionId": "1e"}}'),
  (29, '{"input": {"sessionId": "--1"}}'), (30, '{"input": {"sessionId": "NaN"}}'), (31, '{"input": {"sessionId": "Infinity"}}'),
  (32, '{"input": {"sessionId": -1}}'), (33, '{"input": {"sessionId": 1.5}}'), (34, '{"input": {"sessionId": "1e-1"}}'),
  (35, '{"input": {"sessionId": 18446744073709551616}}'), (36, '{"input": {"sessionId": "18446744073709551616"}}'),
  (37, '{"input": {"sessionId": "1e20"}}'), (38, '{"input": {"sessionId": "1e999999999999"}}'),
  (39, '{"input": {"sessionId": 1e-9}}'),
  (40, '{"headers": {"partitionId": 4294967296}}'), (41, '{"headers": {"partitionId": -1}}'),
  (42, '{"input": {"pendingCommandsFilter": 1}}'), (43, '{"input": {"pendingCommandsFilter": "A"}}'),
  (44, '{"input": {"pendingCommandsFilter": "AAA\n"}}'), (45, '{"input": {"pendingCommandsFilter": "AA="}}'),
  (46, '{"input": {"pendingCommandsFilter": "===="}}'), (47, '{"input": {"pendingCommandsFilter": "A==="}}'),
  (48, '{"input": {"pendingCommandsFilter": "AA==AA=="}}'), (49, '{"input": {"pendingCommandsFilter": "secret!"}}'),
  (50, '{"input": {"outputStreamSequenceNums": []}}'), (51, '{"input": {"outputStreamSequenceNums": {"x": 1}}}'),
  (52, '{"input": {"outputStreamSequenceNums": {"1": null}}}'), (53, '{"input": {"outputStreamSequenceNums": {"-1": 1}}}'),
  (54, '{"input": {"outputStreamSequenceNums": {"": 1}}}'), (55, '{"input": {"outputStreamSequenceNums": {"1": {}}}}')
) AS v (n, document) ORDER BY n;
SELECT document, pg_temp.reads('atomix.headers.RequestHeader', document) FROM (VALUES
  (1, '{"name": "x"}'::jsonb), (2, '{"name": {"name": 1}}'), (3, '{"name": {"name": ["x"]}}'),
  (4, '{"streams": {}}'), (5, '{"streams": [null]}'), (6, '{"streams": [{"streamId": 1}, {"streamId": "x"}]}'),
  (7, '{"streams": [[]]}'), (8, '{"partition": 2147483648}'), (9, '{"partition": "-2147483649"}')
) AS v (n, document) ORDER BY n;
SELECT pg_temp.reads('atomix.headers.ResponseHeader', '{"status": "ok"}'),
  pg_temp.reads('atomix.headers.ResponseHeader', '{"status": 2147483648}'),
  pg_temp.reads('atomix.headers.ResponseHeader', '{"status": 1.5}'),
  pg_temp.reads('atomix.headers.ResponseHeader', '{"type": true}'),
  pg_temp.reads('atomix.election.CloseSessionRequest', '{"delete": "true"}'),
  pg_temp.reads('atomix.election.CloseSessionRequest', '{"delete": 1}'),
  pg_temp.reads('atomix.multiraft.v1.CloseSessionOutput', '{"sessionId": 1}'),
  pg_temp.reads('atomix.runtime.v1.SessionMeta', '{"labels": {"team": 1}}');
-- Of a oneof there is at most one; null is none.
SELECT pg_temp.reads('atomix.multiraft.v1.PartitionInput', '{"openSession": {}, "keepAlive": {}}'),
  pg_temp.reads('atomix.multiraft.v1.PartitionInput', '{"openSession": null, "keepAlive": {}}'),
  pg_temp.reads('atomix.multiraft.v1.SessionInput', '{"sessionId": 1, "createService": {}, "service_input": {}}');
SELECT document, left(pg_temp.reads('google.protobuf.Duration', document), 5) FROM (VALUES
  (1, '{}'::jsonb), (2, '1'), (3, 'null'), (4, '""'), (5, '"s"'), (6, '"1"'), (7, '"1S"'), (8, '" 1s"'), (9, '"1s "'),
  (10, '"+1s"'), (11, '"--1s"'), (12, '"1.s"'), (13, '".5s"'), (14, '"1.0123456789s"'), (15, '"1e3s"'), (16, '"1,5s"'),
  (17, '"315576000001s"'), (18, '"315576000000.1s"'), (19, '"99999999999999999999999s"'), (20, '{"seconds": 1}')
) AS v (n, document) ORDER BY n;
SELECT document, left(pg_temp.reads('google.protobuf.Timestamp', document), 5) FROM (VALUES
  (1, '{}'::jsonb), (2, '0'), (3, '""'), (4, '"now"'), (5, '"2026-01-31"'), (6, '"2026-01-31T09:30:00"'),
  (7, '"2026-01-31 09:30:00Z"'), (8, '"2026-01-31t09:30:00Z"'), (9, '"2026-01-31T09:30:00z"'), (10, '"2026-1-31T09:30:00Z"'),
  (11, '"2026-02-29T00:00:00Z"'), (12, '"1900-02-29T00:00:00Z"'), (13, '"2026-13-01T00:00:00Z"'), (14, '"2026-00-01T00:00:00Z"'),
  (15, '"2026-01-00T00:00:00Z"'), (16, '"2026-01-31T24:00:00Z"'), (17, '"2026-01-31T23:60:00Z"'), (18, '"2026-01-31T23:59:60Z"'),
  (19, '"2026-01-31T09:30Z"'), (20, '"2026-01-31T09:30:00.Z"'), (21, '"2026-01-31T09:30:00.0123456789Z"'),
  (22, '"2026-01-31T09:30:00+0530"'), (23, '"2026-01-31T09:30:00+24:00"'), (24, '"2026-01-31T09:30:00Z "'),
  (25, '"0000-12-31T23:59:59Z"'), (26, '"0001-01-01T00:00:00+00:01"'), (27, '"9999-12-31T23:59:59-00:01"'), (28, '"12026-01-31T09:30:00Z"')
) AS v (n, document) ORDER BY n;
SELECT pg_temp.reads('google.protobuf.Duration', '1'), pg_temp.reads('google.protobuf.Timestamp', '1'),
  pg_temp.reads('atomix.multiraft.v1.OpenSessionInput', '{"timeout": "1"}');
-- A message that holds no duration or timestamp cannot be written.
SELECT message, bytes, test.outcome(format('SELECT atomix.message_to_json(%L, %L)', message, bytes)) FROM (VALUES
  (1, 'google.protobuf.Duration', '\x0881d8f6ce9709'::bytea), (2, 'google.protobuf.Duration', '\x08011080a8d6b9fdffffffff01'),
  (3, 'google.protobuf.Duration', '\x108094ebdc03'), (4, 'google.protobuf.Duration', '\x08ffffffffffffffffff011001'),
  (5, 'google.protobuf.Duration', '\x0880808080808080808001'),
  (6, 'google.protobuf.Timestamp', '\x10ffffffffffffffffff01'), (7, 'google.protobuf.Timestamp', '\x108094ebdc03'),
  (8, 'google.protobuf.Timestamp', '\x08fffffffffffffff57f'), (9, 'google.protobuf.Timestamp', '\x0880808080808080808001'),
  (10, 'google.protobuf.Timestamp', '\x088092b8c398feffffff01'), (11, 'google.protobuf.Timestamp', '\x08ff91b8c398feffffff01'),
  (12, 'atomix.multiraft.v1.OpenSessionRequest', '\x12040a021001'), (13, 'atomix.multiraft.v1.OpenSessionRequest', '\x120d0a0b10ffffffffffffffffff01'),
  (14, 'atomix.multiraft.v1.OpenSessionRequest', '\x120f0a0d080110ffffffffffffffffff01'),
  (15, 'atomix.multiraft.map.v1.MapSnapshot', '\x1200120c120a1208108094ebdc030801')
) AS v (n, message, bytes) ORDER BY n;
-- Nor what does not decode.
SELECT test.outcome($$SELECT atomix.message_to_json('atomix.primitive.Name', '\x0a01ff')$$),
  test.outcome($$SELECT atomix.message_to_json('atomix.primitive.Name', '\x0a0100')$$),
  test.outcome($$SELECT atomix.message_to_json('atomix.primitive.Name', '\x08')$$);
-- A NUL is not in any string, here or there.
SELECT test.outcome($$SELECT atomix.message_from_json('atomix.primitive.Name', '{"name": "\u0000"}')$$);

--
-- Names of messages, nulls
--
SELECT statement, test.outcome('SELECT atomix.' || statement) FROM (VALUES
  (1, 'message_to_json(NULL, NULL)'), (2, 'message_to_json(''x'', NULL)'), (3, 'message_from_json(NULL, ''{}'')'),
  (4, 'message_from_json(''x'', NULL)'), (5, 'message_to_json(''x'', '''')'),
  (6, 'message_to_json(''atomix.multiraft.v1.OpenSesionRequest'', '''')'), (7, 'message_from_json(''KeepAliveInpt'', ''{}'')'),
  (8, 'message_from_json(''atomix.session.SessionService'', ''{}'')'), (9, 'message_to_json('''', '''')')
) AS v (n, statement) ORDER BY n;

--
-- Limits: what a document may take
--
SHOW atomix.max_message_size;
-- A message as large as may be, and of the shape that is largest in JSON.
SELECT length(bytes), atomix.message_from_json('atomix.multiraft.v1.ServiceOutput', document) = bytes AS same, length(document::text)
  FROM (SELECT '\x0afcff3f'::bytea || decode(repeat('ff', 1048572), 'hex') AS bytes) AS b,
    LATERAL (SELECT atomix.message_to_json('atomix.multiraft.v1.ServiceOutput', bytes) AS document) AS d;
SELECT length(bytes), atomix.message_from_json('atomix.headers.RequestHeader', document) = bytes AS same, pg_column_size(document)
  FROM (SELECT decode(repeat('2a0408011001', 100000), 'hex') AS bytes) AS b,
    LATERAL (SELECT atomix.message_to_json('atomix.headers.RequestHeader', bytes) AS document) AS d;
SELECT test.outcome($$SELECT atomix.message_from_json('atomix.multiraft.v1.ServiceOutput',
  jsonb_build_object('payload', repeat('AAAA', 349525)))$$),
  test.outcome($$SELECT atomix.message_from_json('atomix.multiraft.v1.ServiceOutput',
  jsonb_build_object('payload', repeat('A', 17 * 1024 * 1024)))$$),
  test.outcome($$SELECT atomix.message_from_json('atomix.headers.RequestHeader', ('{"streams": [' || repeat('{},', 1000000) || '{}]}')::jsonb)$$),
  test.outcome($$SELECT atomix.message_from_json('atomix.multiraft.v1.KeepAliveInput', ('{"sessionId": 1' || repeat('0', 131071) || '}')::jsonb)$$),
  test.outcome($$SELECT atomix.message_from_json('atomix.multiraft.v1.KeepAliveInput', ('{"sessionId": "1' || repeat('0', 1000000) || '"}')::jsonb)$$);
-- Deep documents are not followed: no message goes so deep.
SELECT test.outcome(format($$SELECT atomix.message_from_json('atomix.runtime.v1.Session', %L)$$,
    repeat('{"meta": ', 1000) || '{}' || repeat('}', 1000))),
  test.outcome(format($$SELECT atomix.message_from_json('atomix.runtime.v1.Session', %L)$$, repeat('[', 5000) || repeat(']', 5000))),
  test.outcome(format($$SELECT atomix.message_from_json('atomix.runtime.v1.Session', %L)$$,
    '{"meta": {"labels": {"' || repeat('long', 100) || '": ' || repeat('[', 1000) || repeat(']', 1000) || '}}}'));

--
-- Everybody may
--
CREATE ROLE regress_reader;
GRANT USAGE ON SCHEMA atomix TO regress_reader;
SET ROLE regress_reader;
SELECT atomix.message_to_json('atomix.multiraft.v1.OpenSessionOutput', '\x0807');
RESET ROLE;
REVOKE USAGE ON SCHEMA atomix FROM regress_reader;
DROP ROLE regress_reader;
