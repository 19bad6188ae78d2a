-- One operation of RedisQueue on all that it keeps; Redis runs it whole or not at all, and nothing else meanwhile.
--
-- KEYS[1] is the root of the queue's keys. ARGV: operation, present time ('' for that of the server), its arguments.
-- Times are microseconds since 1970-01-01 UTC: below 2^53, so that Lua's numbers and the scores of sets hold them.
--
--   ROOT:job:ID          hash: the fields of one job
--   ROOT:later           set: jobs that cannot be claimed yet, by when they can (delayed: run_at, leased: lease_until)
--   ROOT:since           set: jobs that can be claimed, by since when (waiting, or running under an overdue lease)
--   ROOT:ready:KIND      set: the same jobs as in `since`, in the order in which they are handed out
--   ROOT:kinds           set: every KIND whose `ready` may hold a job
--   ROOT:state:STATE     set: jobs in a state, in the order in which they were added
--   ROOT:finished:STATE  set: jobs in a finished state, by when they came into it
--   ROOT:dedupe          hash: the waiting or running job of each dedupe key
--   ROOT:sequence        how many jobs were ever added
--   ROOT:bell            stream of one entry, which is replaced whenever a job may have become claimable

local root, operation = KEYS[1], ARGV[1]
local call = redis.call
local PROMOTED = 1000 -- jobs that one claim looks at because they are due; keeps the script at a few milliseconds
local PURGED = 1000 -- jobs that one call of purge forgets, for the same reason

local now = tonumber(ARGV[2])
if not now then
  local time = call('TIME')
  now = time[1] * 1000000 + time[2]
end

local function int(number)
  return string.format('%.0f', number) -- Lua's own way to write a number keeps 14 digits only
end

local function key(name)
  return root .. ':' .. name
end

local function read(id, ...)
  local names, job = {...}, {id = id}
  local values = call('HMGET', key('job:' .. id), 'state', ...)
  if not values[1] then return nil end
  job.state = values[1]
  for index, name in ipairs(names) do job[name] = values[index + 1] end
  return job
end

local function read_all(id)
  return read(id, 'kind', 'priority', 'dedupe_key', 'attempts', 'max_attempts', 'fence', 'run_at', 'lease_until',
    'sequence', 'reason')
end

-- Handed out by priority (the score), then by run_at and sequence (Redis orders members of one score by their bytes).
local function place(job)
  return string.format('%016.0f%016.0f', job.run_at, job.sequence) .. job.id
end

local function ring()
  call('XADD', key('bell'), 'MAXLEN', 1, '*', 'job', '')
end

local function offer(job, since)
  if tonumber(since) <= now then
    call('ZADD', key('ready:' .. job.kind), job.priority, place(job))
    call('ZADD', key('since'), since, job.id)
    call('SADD', key('kinds'), job.kind)
  else
    call('ZADD', key('later'), since, job.id)
  end
end

local function withdraw(job)
  if call('ZREM', key('later'), job.id) == 0 then
    call('ZREM', key('ready:' .. job.kind), place(job))
    call('ZREM', key('since'), job.id)
  end
end

local function enter(job, state)
  if job.state ~= state then
    call('ZREM', key('state:' .. job.state), job.id)
    call('ZADD', key('state:' .. state), job.sequence, job.id)
    call('HSET', key('job:' .. job.id), 'state', state)
    job.state = state
  end
end

local function finish(job, state, reason)
  withdraw(job)
  enter(job, state)
  call('ZADD', key('finished:' .. state), now, job.id)
  call('HSET', key('job:' .. job.id), 'finished_at', int(now))
  if reason then
    call('HSET', key('job:' .. job.id), 'reason', reason)
  else
    call('HDEL', key('job:' .. job.id), 'reason')
  end
  if job.dedupe_key then call('HDEL', key('dedupe'), job.dedupe_key) end
end

local function wait_again(job)
  enter(job, 'waiting')
  call('HSET', key('job:' .. job.id), 'run_at', int(job.run_at), 'attempts', int(job.attempts))
  offer(job, job.run_at)
  ring()
end

-- Let in what has become due; a job that was leased often enough already is dead instead.
local function promote(reason)
  for _, id in ipairs(call('ZRANGEBYSCORE', key('later'), '-inf', int(now), 'LIMIT', 0, PROMOTED)) do
    local job = read_all(id)
    if job.state == 'running' and tonumber(job.attempts) >= tonumber(job.max_attempts) then
      finish(job, 'dead', reason)
    else
      withdraw(job)
      offer(job, job.state == 'running' and job.lease_until or job.run_at)
    end
  end
end

-- The first in line of some kinds (all, if none are given), and how many kinds were empty.
local function first(kinds)
  local best, priority
  for _, kind in ipairs(kinds) do
    local head = call('ZRANGE', key('ready:' .. kind), 0, 0, 'WITHSCORES')
    if #head == 0 then
      call('SREM', key('kinds'), kind)
    elseif not best or tonumber(head[2]) < priority or (tonumber(head[2]) == priority and head[1] < best) then
      best, priority = head[1], tonumber(head[2])
    end
  end
  return best and string.sub(best, 33)
end

-- The job of a lease, or nil if the lease is lost. Fences are compared as text: a stranger's may be of any length.
local function held(id, fence)
  local job = read_all(id)
  return job and job.state == 'running' and job.fence == fence and job or nil
end

local operations = {}

-- Takes seven arguments a job, straight from ARGV: Lua unpacks a few thousand values at most.
function operations.enqueue()
  local ids, count = {}, (#ARGV - 2) / 7
  local before = call('INCRBY', key('sequence'), count) - count
  for number = 1, count do
    local id, kind, payload, priority, dedupe_key, delay, max_attempts = unpack(ARGV, number * 7 - 4, number * 7 + 2)
    local twin = dedupe_key ~= '' and call('HGET', key('dedupe'), dedupe_key)
    if not twin then
      local job = {id = id, kind = kind, priority = priority, run_at = now + delay, sequence = before + number}
      call('HSET', key('job:' .. id), 'kind', kind, 'payload', payload, 'state', 'waiting', 'priority', priority,
        'attempts', 0, 'max_attempts', max_attempts, 'fence', 0, 'created_at', int(now), 'run_at', int(job.run_at),
        'sequence', int(job.sequence))
      call('ZADD', key('state:waiting'), job.sequence, id)
      if dedupe_key ~= '' then
        call('HSET', key('job:' .. id), 'dedupe_key', dedupe_key)
        call('HSET', key('dedupe'), dedupe_key, id)
      end
      offer(job, job.run_at)
    end
    ids[number] = twin or id
  end
  ring()
  return ids
end

function operations.claim(worker, lease, reason, ...)
  promote(reason)
  local kinds = {...}
  local id = first(#kinds > 0 and kinds or call('SMEMBERS', key('kinds')))
  if not id then return false end
  local job = read_all(id)
  withdraw(job)
  enter(job, 'running')
  local hash = key('job:' .. id)
  call('HSET', hash, 'worker', worker, 'lease_until', int(now + lease))
  call('HINCRBY', hash, 'attempts', 1)
  call('HINCRBY', hash, 'fence', 1)
  call('ZADD', key('later'), now + lease, id)
  return {id, call('HGETALL', hash)}
end

-- Whether something can be claimed; if not, for how long surely not (-1: nobody knows), and what the bell last said.
function operations.look(...)
  local kinds = {...}
  local due = call('ZRANGE', key('later'), 0, 0, 'WITHSCORES')
  if due[2] and tonumber(due[2]) <= now then return {1, 0, ''} end
  for _, kind in ipairs(#kinds > 0 and kinds or call('SMEMBERS', key('kinds'))) do
    if call('EXISTS', key('ready:' .. kind)) == 1 then return {1, 0, ''} end
  end
  local last = call('XREVRANGE', key('bell'), '+', '-', 'COUNT', 1)
  return {0, due[2] and due[2] - now or -1, last[1] and last[1][1] or '0-0'}
end

function operations.renew(id, fence, by)
  local job = held(id, fence)
  if not job then return false end
  withdraw(job)
  call('HSET', key('job:' .. id), 'lease_until', int(now + by))
  call('ZADD', key('later'), now + by, id)
  return {id, call('HGETALL', key('job:' .. id))}
end

function operations.holds(id, fence)
  return held(id, fence) and 1 or 0
end

function operations.complete(id, fence)
  local job = held(id, fence)
  if not job then return false end
  finish(job, 'done')
  return job.state
end

function operations.bury(id, fence, reason)
  local job = held(id, fence)
  if not job then return false end
  finish(job, 'dead', reason)
  return job.state
end

function operations.retry(id, fence, reason, delay)
  local job = held(id, fence)
  if not job then return false end
  if tonumber(job.attempts) >= tonumber(job.max_attempts) then
    finish(job, 'dead', reason)
  else
    withdraw(job)
    call('HSET', key('job:' .. id), 'reason', reason)
    job.run_at = now + delay
    wait_again(job)
  end
  return job.state
end

function operations.release(id, fence, delay, reason)
  local job = held(id, fence)
  if not job then return false end
  withdraw(job)
  if tonumber(delay) > 0 then job.run_at = now + delay end
  if reason then call('HSET', key('job:' .. id), 'reason', reason) end
  job.attempts = job.attempts - 1
  wait_again(job)
  return job.state
end

function operations.cancel(id)
  local job = read_all(id)
  if not job then return false end
  if job.state == 'waiting' or job.state == 'running' then finish(job, 'cancelled', job.reason) end
  return job.state
end

function operations.requeue(id)
  local job = read_all(id)
  if not job or (job.state ~= 'dead' and job.state ~= 'cancelled') then return false end
  if job.dedupe_key then
    if call('HSETNX', key('dedupe'), job.dedupe_key, id) == 0 then return 'taken' end
  end
  call('ZREM', key('finished:' .. job.state), id)
  call('HDEL', key('job:' .. id), 'reason', 'finished_at')
  job.attempts, job.run_at = 0, now
  wait_again(job)
  return job.state
end

function operations.drop(id)
  local job = read_all(id)
  if not job or job.state == 'waiting' or job.state == 'running' then return false end
  call('ZREM', key('finished:' .. job.state), id)
  call('ZREM', key('state:' .. job.state), id)
  call('DEL', key('job:' .. id))
  return job.state
end

function operations.get(id)
  local fields = call('HGETALL', key('job:' .. id))
  return #fields > 0 and {id, fields}
end

function operations.list(limit, before, ...)
  local found, jobs, newer = {}, {}, '+inf'
  if before ~= '' then
    local state = call('HGET', key('job:' .. before), 'state')
    if not state then return false end
    newer = '(' .. call('ZSCORE', key('state:' .. state), before)
  end
  for _, state in ipairs({...}) do
    local newest = call('ZREVRANGEBYSCORE', key('state:' .. state), newer, '-inf', 'WITHSCORES', 'LIMIT', 0, limit)
    for index = 1, #newest, 2 do found[#found + 1] = {newest[index], tonumber(newest[index + 1])} end
  end
  table.sort(found, function(one, other) return one[2] > other[2] end)
  for index = 1, math.min(limit, #found) do
    jobs[index] = {found[index][1], call('HGETALL', key('job:' .. found[index][1]))}
  end
  return jobs
end

function operations.depth(...)
  local counts = {}
  for index, state in ipairs({...}) do counts[index] = call('ZCARD', key('state:' .. state)) end
  local oldest = call('ZRANGE', key('since'), 0, 0, 'WITHSCORES')[2]
  local due = call('ZRANGE', key('later'), 0, 0, 'WITHSCORES')[2]
  if due and tonumber(due) <= now and (not oldest or tonumber(due) < tonumber(oldest)) then oldest = due end
  return {oldest and int(oldest) or false, unpack(counts)}
end

function operations.purge(before, state)
  local old = call('ZRANGEBYSCORE', key('finished:' .. state), '-inf', '(' .. before, 'LIMIT', 0, PURGED)
  for _, id in ipairs(old) do operations.drop(id) end
  return #old
end

if operation == 'enqueue' then return operations.enqueue() end
return operations[operation](unpack(ARGV, 3))
