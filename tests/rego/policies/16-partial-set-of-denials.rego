package countersign.authz

denials contains "no_scope" if count(input.scopes) == 0

denials contains "no_agent" if not input.agentId

denials contains "method_trace" if input.method == "TRACE"

denials contains sprintf("tenant-%s", [input.tenant]) if input.tenant in {"closed", "gone"}

allow if count(denials) == 0

reason := sort([denial | some denial in denials])[0] if count(denials) > 0
