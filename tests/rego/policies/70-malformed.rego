# METADATA
# custom:
#   id: example.malformed
#   version: v1
#   systems: [odd]
package example.malformed

decision := {"effect": input.context.effect, "reason": input.context.reason}
