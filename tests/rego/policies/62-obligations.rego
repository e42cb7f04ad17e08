# METADATA
# custom:
#   id: example.obligations
#   version: v1
#   systems: [ssh]
package example.obligations

base := [{"type": "log", "parameters": {"subject": input.subject.id}}]

extra := [{"type": "ssh.source_address", "parameters": {"addresses": input.context.addresses}}] if count(input.context.addresses) > 0

else := []

decision := {"effect": "allow", "reason": "signed", "obligations": array.concat(base, extra)} if input.action.name == "sign"

decision := {"effect": "deny", "reason": "wrong_action"} if input.action.name != "sign"
