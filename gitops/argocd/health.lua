-- Health of a Harness, a Tenant or an Agent, by the conditions that all three have. It agrees with kstatus, but for a
-- suspended Tenant and its Agents, which Argo CD has a word for. Argo CD itself says what is being deleted.
local status = obj.status
if status == nil or status.conditions == nil then
  return { status = "Progressing", message = "the operator has not looked at it yet" }
end
if status.observedGeneration ~= obj.metadata.generation then
  return { status = "Progressing", message = "the operator has not looked at the latest change yet" }
end

local message = {}
local reason = {}
local holds = {}
for _, condition in ipairs(status.conditions) do
  message[condition.type] = condition.message
  reason[condition.type] = condition.reason
  holds[condition.type] = condition.status == "True"
end

if holds.Stalled then
  return { status = "Degraded", message = message.Stalled }
end
if holds.Reconciling then
  return { status = "Progressing", message = message.Reconciling }
end
if reason.Ready == "Suspended" then
  return { status = "Suspended", message = message.Ready }
end
if holds.Ready then
  -- A gateway that serves although something is wrong with it is healthy: nothing is to be rolled back for it.
  if holds.Degraded then
    return { status = "Healthy", message = message.Degraded }
  end
  return { status = "Healthy", message = message.Ready }
end
return { status = "Progressing", message = message.Ready }
