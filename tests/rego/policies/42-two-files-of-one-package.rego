package countersign.authz

default allow := false

allow if reading
