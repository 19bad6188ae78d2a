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
--   ROOT:clock           the latest time, to about half a second, at which something was put into `later`
--   ROOT:bell            stream of one entry, which is replaced whenever a job may have become claimable
--   ROOT:news            channel: the id of each job that has ended or told how far it is

local root, operation = KEYS[1], ARGV[1]
local call = redis.call
local PROMOTED = 1000 -- jobs that one claim looks at because they are due; keeps the script at a few milliseconds
local SLACK = 1000000 -- microseconds that the clock may go back unnoticed; as in _clocks.py
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
    'sequence', 'reason', 'worker')
end

-- Handed out by priority (the score), then by run_at and sequence (Redis orders members of one score by their bytes).
local function place(job)
  return string.format('%016.0f%016.0f', job.run_at, job.sequence) .. job.id
end

local function ring()
  call('XADD', key('bell'), 'MAXLEN', 1, '*', 'job', '')
end

local known = {} -- kinds that this operation has put into `kinds`

local function offer(job, since)
  if tonumber(since) <= now then
    call('ZADD', key('ready:' .. job.kind), job.priority, place(job))
    call('ZADD', key('since'), since, job.id)
    if not known[job.kind] then call('SADD', key('kinds'), job.kind) end
    known[job.kind] = true
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

-- Of a job that the server has lost (thrown out for its memory's sake, or by a stranger's hand), leave nothing: it would
-- stand in the way of the others. Its place in a line is not known any more; it goes when its turn comes.
local function forget(id)
  for _, set in ipairs({'later', 'since', 'state:waiting', 'state:running', 'state:done', 'state:dead', 'state:cancelled',
    'finished:done', 'finished:dead', 'finished:cancelled'}) do
    call('ZREM', key(set), id)
  end
end

-- If the clock has gone back, bring what is waited for as near as it was; before anything is put into `later`.
local function notice_time()
  local last = tonumber(call('GET', key('clock')) or 0)
  -- A server without memory left refuses this, which must keep no job from its end; then it is for the next time.
  if now <= last + SLACK / 2 and now >= last - SLACK then return end
  if redis.pcall('SET', key('clock'), int(now)).err or now > last then return end
  local ahead = call('ZRANGE', key('later'), 0, -1, 'WITHSCORES')
  for index = 1, #ahead, 2 do
    local id, due = ahead[index], ahead[index + 1] - (last - now)
    local state = call('HGET', key('job:' .. id), 'state')
    if state then
      call('HSET', key('job:' .. id), state == 'running' and 'lease_until' or 'run_at', int(due))
      call('ZADD', key('later'), due, id)
    else
      forget(id)
    end
  end
end

-- Bring a job into a state, and write more of its fields.
local function enter(job, state, ...)
  call('HSET', key('job:' .. job.id), 'state', state, ...)
  if job.state ~= state then
    call('ZREM', key('state:' .. job.state), job.id)
    call('ZADD', key('state:' .. state), job.sequence, job.id)
    job.state = state
  end
end

local function finish(job, state, reason)
  withdraw(job)
  if reason then
    enter(job, state, 'finished_at', int(now), 'reason', reason)
  else
    enter(job, state, 'finished_at', int(now))
    if job.reason then call('HDEL', key('job:' .. job.id), 'reason') end
  end
  call('ZADD', key('finished:' .. state), now, job.id)
  if job.dedupe_key then call('HDEL', key('dedupe'), job.dedupe_key) end
  call('PUBLISH', key('news'), job.id)
end

local function wait_again(job)
  enter(job, 'waiting', 'run_at', int(job.run_at), 'attempts', int(job.attempts))
  offer(job, job.run_at)
  ring()
end

-- Let in what has become due; a job that was leased often enough already is dead instead.
local function promote(reason)
  for _, id in ipairs(call('ZRANGEBYSCORE', key('later'), '-inf', int(now), 'LIMIT', 0, PROMOTED)) do
    local job = read_all(id)
    if not job then
      forget(id)
    elseif job.state == 'running' and tonumber(job.attempts) >= tonumber(job.max_attempts) then
      finish(job, 'dead', reason)
    else
      withdraw(job)
      offer(job, job.state == 'running' and job.lease_until or job.run_at)
    end
  end
end

-- Take the first in line of some kinds out of the line, and return its id; nil if its priority is not before a number.
local function take_first(kinds, before)
  local best, priority, of
  for _, kind in ipairs(kinds) do
    local head = call('ZRANGE', key('ready:' .. kind), 0, 0, 'WITHSCORES')
    if #head == 0 then
      call('SREM', key('kinds'), kind)
    elseif not best or tonumber(head[2]) < priority or (tonumber(head[2]) == priority and head[1] < best) then
      best, priority, of = head[1], tonumber(head[2]), kind
    end
  end
  if not best or (before and priority >= before) then return nil end
  local id = string.sub(best, 33)
  call('ZREM', key('ready:' .. of), best)
  call('ZREM', key('since'), id)
  return id
end

-- Lease a job that stands in no line, and return it with all its fields; nothing if it is lost.
local function lease_out(id, worker, lease)
  local hash = key('job:' .. id)
  local fields, at = call('HGETALL', hash), {}
  if #fields == 0 then return forget(id) end
  for index = 1, #fields, 2 do at[fields[index]] = index + 1 end
  local function set(name, value)
    if not at[name] then
      at[name] = #fields + 2
      fields[#fields + 1] = name
    end
    fields[at[name]] = value
    return value
  end
  if at.told_at then
    call('HDEL', hash, 'told_at')
    call('HSET', hash, 'progress', set('progress', '0'))
  end
  local job = {id = id, state = fields[at.state], sequence = fields[at.sequence]}
  enter(job, set('state', 'running'), 'worker', set('worker', worker), 'lease_until', set('lease_until', int(now + lease)),
    'attempts', set('attempts', int(fields[at.attempts] + 1)), 'fence', set('fence', int(fields[at.fence] + 1)))
  call('ZADD', key('later'), now + lease, id)
  return {id, fields}
end

-- The job of a lease, or nil if the lease is lost. Fences are compared as text: a stranger's may be of any length. So is
-- the worker, since a replica that became the master without the last claim gives the same fence again.
local function held(id, fence, worker)
  local job = read_all(id)
  return job and job.state == 'running' and job.fence == fence and job.worker == worker and job or nil
end

local operations = {}

-- Takes eight arguments a job, straight from ARGV: Lua unpacks a few thousand values at most.
function operations.enqueue()
  local ids, count = {}, (#ARGV - 2) / 8
  local before = call('INCRBY', key('sequence'), count) - count
  for number = 1, count do
    local id, kind, payload, priority, dedupe_key, delay, max_attempts, trace =
      unpack(ARGV, number * 8 - 5, number * 8 + 2)
    local twin = dedupe_key ~= '' and call('HGET', key('dedupe'), dedupe_key)
    if twin and call('EXISTS', key('job:' .. twin)) == 0 then twin = forget(twin) end
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
      if trace ~= '' then call('HSET', key('job:' .. id), 'traceparent', trace) end
      if tonumber(delay) > 0 then notice_time() end
      offer(job, job.run_at)
    end
    ids[number] = twin or id
  end
  ring()
  return ids
end

function operations.claim(worker, lease, reason, limit, before, ...)
  notice_time()
  promote(reason)
  local kinds, leases = {...}, {}
  if #kinds == 0 then kinds = call('SMEMBERS', key('kinds')) end
  while #leases < tonumber(limit) do
    local id = take_first(kinds, tonumber(before))
    if not id then break end
    leases[#leases + 1] = lease_out(id, worker, lease) -- of a job that is lost, nothing
  end
  return leases
end

-- Whether something can be claimed; if not, for how long surely not (-1: nobody knows), and what the bell last said.
function operations.look(...)
  local kinds, latest = {...}, tonumber(call('GET', key('clock')) or 0)
  if now < latest - SLACK then return {1, 0, ''} end
  local due = call('ZRANGE', key('later'), 0, 0, 'WITHSCORES')
  if due[2] and tonumber(due[2]) <= now then return {1, 0, ''} end
  for _, kind in ipairs(#kinds > 0 and kinds or call('SMEMBERS', key('kinds'))) do
    if call('EXISTS', key('ready:' .. kind)) == 1 then return {1, 0, ''} end
  end
  local last = call('XREVRANGE', key('bell'), '+', '-', 'COUNT', 1)
  return {0, due[2] and due[2] - now or -1, last[1] and last[1][1] or '0-0'}
end

function operations.renew(id, fence, worker, by)
  local job = held(id, fence, worker)
  if not job then return false end
  withdraw(job)
  notice_time()
  call('HSET', key('job:' .. id), 'lease_until', int(now + by))
  call('ZADD', key('later'), now + by, id)
  return {id, call('HGETALL', key('job:' .. id))}
end

function operations.tell(id, fence, worker, progress, apart)
  local job = held(id, fence, worker)
  if not job then return false end
  local hash = key('job:' .. id)
  local told = call('HMGET', hash, 'told_at', 'progress')
  if told[1] and ((now >= tonumber(told[1]) and now < told[1] + apart) or tonumber(progress) <= tonumber(told[2])) then return 0 end
  call('HSET', hash, 'told_at', int(now), 'progress', progress)
  call('PUBLISH', key('news'), id)
  return 1
end

-- How jobs stand: those that are named and, from `since` on, those that have ended, with all that run.
function operations.stand(since, ...)
  local ids, found = {...}, {}
  if since ~= '' then
    for _, id in ipairs(call('ZRANGE', key('state:running'), 0, -1)) do ids[#ids + 1] = id end
    for _, state in ipairs({'done', 'dead', 'cancelled'}) do
      for _, id in ipairs(call('ZRANGEBYSCORE', key('finished:' .. state), since, '+inf')) do ids[#ids + 1] = id end
    end
  end
  for _, id in ipairs(ids) do
    local fields = call('HMGET', key('job:' .. id), 'state', 'kind', 'dedupe_key', 'progress', 'fence', 'reason',
      'told_at', 'finished_at')
    if fields[1] and fields[1] ~= 'waiting' then found[#found + 1] = {id, unpack(fields, 1, 8)} end
  end
  return found
end

function operations.now()
  return int(now)
end

function operations.holds(id, fence)
  local job = read(id, 'fence')
  return job and job.state == 'running' and job.fence == fence and 1 or 0
end

-- Takes id, fence and worker of each lease, and returns the numbers of those that are lost, counted from 0.
function operations.complete(...)
  local shown, lost = {...}, {}
  for index = 1, #shown, 3 do
    local job = held(shown[index], shown[index + 1], shown[index + 2])
    if job then
      finish(job, 'done')
    else
      lost[#lost + 1] = (index - 1) / 3
    end
  end
  return lost
end

function operations.bury(id, fence, worker, reason)
  local job = held(id, fence, worker)
  if not job then return false end
  finish(job, 'dead', reason)
  return job.state
end

function operations.retry(id, fence, worker, reason, delay)
  local job = held(id, fence, worker)
  if not job then return false end
  if tonumber(job.attempts) >= tonumber(job.max_attempts) then
    finish(job, 'dead', reason)
  else
    withdraw(job)
    notice_time()
    call('HSET', key('job:' .. id), 'reason', reason)
    job.run_at = now + delay
    wait_again(job)
  end
  return job.state
end

function operations.release(id, fence, worker, delay, reason)
  local job = held(id, fence, worker)
  if not job then return false end
  withdraw(job)
  if tonumber(delay) > 0 then
    notice_time()
    job.run_at = now + delay
  end
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
  if not job then return forget(id) or false end
  if job.state == 'waiting' or job.state == 'running' then return false end
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
    local fields = call('HGETALL', key('job:' .. found[index][1]))
    if #fields > 0 then jobs[#jobs + 1] = {found[index][1], fields} end
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
