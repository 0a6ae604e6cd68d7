"""The scripts that keep the history of topics in Redis.

Owns: their text, their names in Redis, and the names of the keys. Must not import: Twisted.

A script runs as a whole, so no node ever sees half of a publication. All its keys have the same
``{tag}``, so that they are in one slot of a cluster:

========== =================================================================================
``h:TOPIC`` a hash: the epoch, the newest offset, bytes by kind, and the servers that have counted
``s:TOPIC`` a stream: one entry for each event, with the id ``OFFSET-0``
``v:TOPIC`` a hash: the newest event of each key
``k:TOPIC`` a sorted set: the keys of these, by offset
``r:TOPIC`` a hash: the newest version of each key
``w:TOPIC`` a sorted set: the keys of these, by offset
``q:NODE``  which publications of a node were carried out: the newest number, and the ranges of
            lesser ones that were not and may be sent again, as in ``9 3-4 7-7``
``i:ID``    what has become of a push with an id
========== =================================================================================

A server that goes on from a copy, or from its disk, may have lost the newest events, and then gives
their offsets to others. So each topic knows which servers have counted it, and from which offset
on: a node that knows a later one has events that are lost.
"""

from __future__ import annotations

import hashlib
from typing import Final, NamedTuple

#: Milliseconds for which Redis knows which publications of a node were carried out.
_NODE_KEPT: Final = 3_600_000
#: Servers that a topic remembers.
_MOST_RUNS: Final = 8
#: Events and values that one publication removes at most; it adds one of each.
_MOST_REMOVED: Final = 100

_COMMON: Final = """
local call = redis.call

local function text(number)
  return string.format('%.0f', number)
end

-- Note which server counts, and from which offset on; return all that are known.
local function counted_by(known, run, offset)
  if string.match(known, '(%S+):%d+$') == run then return known end
  local all = {}
  for each in string.gmatch(known, '%S+') do all[#all + 1] = each end
  all[#all + 1] = run .. ':' .. text(offset)
  while #all > MOST_RUNS do table.remove(all, 1) end
  return table.concat(all, ' ')
end
""".replace("MOST_RUNS", str(_MOST_RUNS))

_PUBLISH: Final = (
    _COMMON
    + """
local number, settled, run = tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[3]
local digest, known_for, head, payload = ARGV[4], ARGV[5], ARGV[6], ARGV[7]
local size, topics = tonumber(ARGV[8]), tonumber(ARGV[9])
local known = digest ~= '' and call('GET', KEYS[2]) or false
local newest, missing = string.match(call('GET', KEYS[1]) or '0', '^(%d+)(.*)$')
newest = tonumber(newest)

-- Return those that are missing without the number; nothing if it is not among them.
local function without_number()
  for from, first, last, to in string.gmatch(missing, '() (%d+)%-(%d+)()') do
    if tonumber(last) >= number then
      if tonumber(first) > number then return nil end
      local before = tonumber(first) < number and ' ' .. first .. '-' .. text(number - 1) or ''
      local after = tonumber(last) > number and ' ' .. text(number + 1) .. '-' .. last or ''
      return string.sub(missing, 1, from - 1) .. before .. after .. string.sub(missing, to)
    end
  end
end

if number <= newest then
  missing = without_number()
  if not missing then
    -- The answer has not arrived, so it was sent again.
    return {'DONE', known or ''}
  end
else
  local first = math.max(newest, settled) + 1
  if first < number then missing = missing .. ' ' .. text(first) .. '-' .. text(number - 1) end
  newest = number
end
local kept = 1
while true do
  local last, to = string.match(missing, '^ %d+%-(%d+)()', kept)
  if not last or tonumber(last) > settled then break end
  kept = to
end
missing = string.sub(missing, kept)
if known then return {'KNOWN', known} end

local function is_older(version, than)
  if not (string.match(version, '^-?%d+$') and string.match(than, '^-?%d+$')) then
    return tonumber(version) < tonumber(than)
  end
  -- As text, because large numbers are not exact in Lua.
  local sign, other = string.sub(version, 1, 1) == '-', string.sub(than, 1, 1) == '-'
  if sign ~= other then return sign end
  if sign then version, than = string.sub(than, 2), string.sub(version, 2) end
  if #version ~= #than then return #version < #than end
  return version < than
end

local function removed(events, field, keys, bytes, most, is_old, total)
  -- Remove the oldest of the values or versions while they are too many, too large or too old.
  for _ = 1, MOST_REMOVED do
    local found = call('ZRANGE', keys, 0, 0)
    if #found == 0 then return 0 end
    local key = found[1]
    if call('ZCARD', keys) <= most and bytes <= total and not is_old(key) then return bytes end
    call('ZREM', keys, key)
    bytes = bytes - events(call('HGET', field, key), key)
    call('HDEL', field, key)
  end
  return bytes
end

local function size_of_version(_, key) return #key + 150 end

local function size_of_value(value, key)
  return tonumber(string.match(value, '^%S+ %S+ (%S+)')) + #key + 150
end

local entries, at, key = {}, 9, digest == '' and 1 or 2
for index = 1, topics do
  local entry = {kind = ARGV[at + 1], channel = ARGV[at + 2]}
  at = at + 2
  if entry.kind == 'h' then
    entry.epoch, entry.events = ARGV[at + 1], tonumber(ARGV[at + 2])
    entry.age, entry.bytes = tonumber(ARGV[at + 3]), tonumber(ARGV[at + 4])
    entry.keys, entry.idle = tonumber(ARGV[at + 5]), tonumber(ARGV[at + 6])
    -- What the event says of its value: "set" or "remove" one, "clear" all, or "".
    entry.effect, entry.key, entry.version = ARGV[at + 7], ARGV[at + 8], ARGV[at + 9]
    at = at + 9
    entry.h, entry.s, entry.v, entry.k = KEYS[key + 1], KEYS[key + 2], KEYS[key + 3], KEYS[key + 4]
    entry.r, entry.w = KEYS[key + 5], KEYS[key + 6]
    key = key + 6
    if entry.version ~= '' then
      local than = call('HGET', entry.r, entry.key)
      if than and is_older(entry.version, than) then return {'STALE', than} end
    end
  end
  entries[index] = entry
end

local clock = call('TIME')
local now = tonumber(clock[1]) * 1000 + math.floor(tonumber(clock[2]) / 1000)
local answer = {'OK'}

local function append(entry)
  local meta = call('HMGET', entry.h, 'e', 'o', 'g', 'b', 'c', 'd', 'x')
  local epoch, offset, runs = meta[1] or entry.epoch, tonumber(meta[2] or 0), meta[3] or ''
  local of_events, of_values = tonumber(meta[4] or 0), tonumber(meta[5] or 0)
  local of_versions = tonumber(meta[6] or 0)
  if not meta[1] then
    call('DEL', entry.s, entry.v, entry.k, entry.r, entry.w)
  elseif of_values > 0 and entry.age > 0 and call('EXISTS', entry.v) == 0 then
    of_values = 0
  end
  local had_values, had_versions = of_values > 0, of_versions > 0
  runs = counted_by(runs, run, offset)
  offset = offset + 1
  local id, oldest = text(offset), now - entry.age
  local message = head .. ',"epoch":"' .. epoch .. '","offset":' .. id .. ',"time":'
    .. string.format('%.3f', now / 1000) .. ',"run":"' .. run .. '"}\\n' .. payload

  if entry.version ~= '' then
    if call('HSET', entry.r, entry.key, entry.version) == 1 then
      of_versions = of_versions + size_of_version(nil, entry.key)
    end
    call('ZADD', entry.w, id, entry.key)
  end
  if entry.effect == 'clear' then
    call('DEL', entry.v, entry.k)
    of_values = 0
  elseif entry.effect ~= '' then
    local before = call('HGET', entry.v, entry.key)
    if before then of_values = of_values - size_of_value(before, entry.key) end
    if entry.effect == 'set' then
      local value = id .. ' ' .. text(now) .. ' ' .. text(size) .. '\\n' .. message
      call('HSET', entry.v, entry.key, value)
      call('ZADD', entry.k, id, entry.key)
      of_values = of_values + size_of_value(value, entry.key)
    elseif before then
      call('HDEL', entry.v, entry.key)
      call('ZREM', entry.k, entry.key)
    end
  end

  local count = 0
  if entry.events > 0 then
    call('XADD', entry.s, id .. '-0', 't', text(now), 'n', text(size), 'm', message)
    count = call('XLEN', entry.s)
    of_events = count == 1 and size or of_events + size
    for _ = 1, MOST_REMOVED do
      local too_many = count > entry.events or of_events + of_values + of_versions > entry.bytes
      if count == 0 or not (too_many or entry.age > 0) then break end
      local first = call('XRANGE', entry.s, '-', '+', 'COUNT', 1)[1]
      if not too_many and tonumber(first[2][2]) >= oldest then break end
      call('XDEL', entry.s, first[1])
      of_events = of_events - tonumber(first[2][4])
      count = count - 1
    end
  end
  local function is_too_old(field)
    if entry.age == 0 then return false end
    return tonumber(string.match(call('HGET', entry.v, field), '^%S+ (%S+)')) < oldest
  end
  if of_values > 0 then
    of_values = removed(size_of_value, entry.v, entry.k, of_values, entry.keys, is_too_old,
      entry.bytes - of_events - of_versions)
  end
  if entry.version ~= '' then
    local most = math.min(math.floor(entry.bytes / 4), entry.bytes - of_events - of_values)
    of_versions = removed(size_of_version, entry.r, entry.w, of_versions, entry.keys,
      function() return false end, most)
  end

  -- Each command costs more than all that is counted here, so not every event moves the expiry.
  local expiry = tonumber(meta[7] or 0)
  local is_new = count == 1 or (of_values > 0 and not had_values)
    or (of_versions > 0 and not had_versions)
  local moves = is_new or entry.age > 0 or now - expiry > entry.idle / 8
  if moves then expiry = now end
  call('HSET', entry.h, 'e', epoch, 'o', id, 'g', runs, 'b', text(of_events), 'c', text(of_values),
    'd', text(of_versions), 'x', text(expiry))
  if moves then
    call('PEXPIRE', entry.h, entry.idle)
    -- What is too old is not needed, even if nothing is published any more.
    local kept = entry.age > 0 and math.min(entry.idle, entry.age) or entry.idle
    if count > 0 then call('PEXPIRE', entry.s, kept) end
    if of_values > 0 then
      call('PEXPIRE', entry.v, kept)
      call('PEXPIRE', entry.k, kept)
    end
    if of_versions > 0 then
      call('PEXPIRE', entry.r, entry.idle)
      call('PEXPIRE', entry.w, entry.idle)
    end
  end
  local nodes = call('PUBLISH', entry.channel, message)
  return epoch .. ' ' .. id .. ' ' .. text(now) .. ' ' .. text(nodes)
end

-- The first write, so that nothing is half done when Redis has no memory left.
call('SET', KEYS[1], text(newest) .. missing, 'PX', NODE_KEPT)
for index = 1, topics do
  local entry = entries[index]
  if entry.kind == 'h' then
    answer[index + 1] = append(entry)
  else
    call('PUBLISH', entry.channel, head .. '}\\n' .. payload)
    answer[index + 1] = ''
  end
end
if digest ~= '' then
  call('SET', KEYS[2], digest .. '\\n' .. table.concat(answer, '\\n', 2), 'PX', known_for)
end
return answer
""".replace("MOST_REMOVED", str(_MOST_REMOVED)).replace("NODE_KEPT", str(_NODE_KEPT))
)

_READ: Final = (
    _COMMON
    + """
local epoch, run, empty, idle = ARGV[1], ARGV[2], ARGV[3], ARGV[7]
-- Offsets after which values and events are wanted; "" for none of them.
local values_after, events_after, most = ARGV[4], ARGV[5], tonumber(ARGV[6])
local meta = call('HMGET', KEYS[1], 'e', 'o', 'g', 'p')
if not meta[1] then
  -- Clients that learn where the topic is must be able to go on from there.
  meta = {epoch, '0', run .. ':0', ''}
  call('HSET', KEYS[1], 'e', epoch, 'o', '0', 'g', meta[3])
  call('PEXPIRE', KEYS[1], empty)
else
  for index, each in ipairs(KEYS) do
    -- Events and values that have an age are not kept longer than that.
    local has_age = ARGV[8] == '1' and index >= 2 and index <= 4
    if not has_age then call('PEXPIRE', each, idle) end
  end
  local runs = counted_by(meta[3], run, tonumber(meta[2]))
  if runs ~= meta[3] then
    meta[3] = runs
    call('HSET', KEYS[1], 'g', runs)
  end
end
local clock = call('TIME')
local now = text(tonumber(clock[1]) * 1000 + math.floor(tonumber(clock[2]) / 1000))
local values, events, size, is_whole = {}, {}, 0, 1
if values_after ~= '' then
  local after = values_after
  repeat
    local keys = call('ZRANGEBYSCORE', KEYS[4], '(' .. after, '+inf', 'WITHSCORES', 'LIMIT', 0, 50)
    for index = 1, #keys, 2 do
      after = keys[index + 1]
      if size >= most then is_whole = 0 break end
      local value = call('HGET', KEYS[3], keys[index])
      if value then
        values[#values + 1] = value
        size = size + #value
      end
    end
  until #keys == 0 or is_whole == 0
end
if events_after ~= '' then
  local after = events_after .. '-0'
  while is_whole == 1 do
    local found = call('XRANGE', KEYS[2], '(' .. after, '+', 'COUNT', 16)
    for _, each in ipairs(found) do
      if size >= most then is_whole = 0 break end
      after = each[1]
      local event = string.match(after, '^%d+') .. ' ' .. each[2][2] .. '\\n' .. each[2][6]
      events[#events + 1] = event
      size = size + #event
    end
    if #found < 16 then break end
  end
end
return {meta[1], meta[2], meta[3], meta[4] or '', now, is_whole, values, events}
"""
)

_RENEW: Final = (
    _COMMON
    + """
-- Events are lost, so positions of the epoch mean nothing any more.
local before, epoch, run, head = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local meta = call('HMGET', KEYS[1], 'e', 'o', 'g')
if meta[1] ~= before then return 0 end
local runs = counted_by(meta[3] or '', run, tonumber(meta[2]))
call('HSET', KEYS[1], 'e', epoch, 'p', before, 'g', runs)
call('PUBLISH', ARGV[5], head .. ',"epoch":"' .. epoch .. '","offset":' .. meta[2]
  .. ',"run":"' .. run .. '"}\\nnull')
return 1
"""
)


class Script(NamedTuple):
    """A script, and its name in Redis.

    :ivar text: in Lua.
    :ivar sha: its digest, with which Redis finds it.
    """

    text: bytes
    sha: bytes


def _script(text: str) -> Script:
    digest = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()
    return Script(text.encode(), digest.encode())


#: Publishes to one or more topics.
PUBLISH: Final = _script(_PUBLISH)
#: Reads what a topic keeps, in slices.
READ: Final = _script(_READ)
#: Begins another epoch of a topic.
RENEW: Final = _script(_RENEW)
