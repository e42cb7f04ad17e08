//! A module written by hand that speaks OPA's interface: its values are JSON texts, and what it answers is written
//! where it is tested.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// What a test may want otherwise.
pub(super) struct Parts<'a> {
    pub(super) version: (i32, i32),
    pub(super) memory: &'a str,
    pub(super) builtins: &'a str,
    pub(super) entrypoints: &'a str,
    /// Further imports, and further definitions.
    pub(super) imports: &'a str,
    pub(super) more: &'a str,
}

impl Default for Parts<'_> {
    fn default() -> Self {
        Self {
            version: (1, 3),
            memory: "2",
            builtins: "{}",
            entrypoints: r#"{"countersign/authz":0}"#,
            imports: "",
            more: "",
        }
    }
}

impl Parts<'_> {
    /// The module whose evaluation is `body`: `<text>` in it is the address of that text, and `$has` tells whether a
    /// text stands in the input, `$holds` whether one stands in another.
    pub(super) fn wat(&self, body: &str) -> String {
        let mut texts = Texts::default();
        let (builtins, entrypoints) = (texts.add(self.builtins), texts.add(self.entrypoints));
        let (body, more) = (texts.placed(body), texts.placed(self.more));
        let (data, (major, minor)) = (texts.data, self.version);
        let (memory, imports) = (self.memory, self.imports);
        format!(
            r#"(module
(import "env" "memory" (memory {memory}))
(import "env" "opa_abort" (func $abort (param i32)))
(import "env" "opa_println" (func $print (param i32)))
(import "env" "opa_builtin0" (func $call0 (param i32 i32) (result i32)))
(import "env" "opa_builtin1" (func $call1 (param i32 i32 i32) (result i32)))
(import "env" "opa_builtin2" (func $call2 (param i32 i32 i32 i32) (result i32)))
{imports}
{data}
(global $free (mut i32) (i32.const 16384))
(global $in (mut i32) (i32.const 0))
(global $count (mut i32) (i32.const 0))
(global (export "opa_wasm_abi_version") i32 (i32.const {major}))
(global (export "opa_wasm_abi_minor_version") i32 (i32.const {minor}))
(func $malloc (export "opa_malloc") (param $size i32) (result i32) (local $at i32)
  (local.set $at (global.get $free))
  (global.set $free (i32.add (local.get $at) (local.get $size)))
  (loop $more
    (if (i32.gt_u (global.get $free) (i32.mul (memory.size) (i32.const 65536)))
      (then (if (i32.eq (memory.grow (i32.const 1)) (i32.const -1)) (then (call $abort {full}))) (br $more))))
  (local.get $at))
(func (export "opa_free") (param i32))
(func $parse (export "opa_json_parse") (param $at i32) (param $size i32) (result i32) (local $to i32)
  (local.set $to (call $malloc (i32.add (local.get $size) (i32.const 1))))
  (memory.copy (local.get $to) (local.get $at) (local.get $size))
  (i32.store8 (i32.add (local.get $to) (local.get $size)) (i32.const 0))
  (local.get $to))
(func (export "opa_json_dump") (param $value i32) (result i32) (local.get $value))
(func (export "opa_heap_ptr_get") (result i32) (global.get $free))
(func (export "builtins") (result i32) {builtins})
(func (export "entrypoints") (result i32) {entrypoints})
(func $begins (param $at i32) (param $with i32) (result i32)
  (loop $next
    (if (i32.eqz (i32.load8_u (local.get $with))) (then (return (i32.const 1))))
    (if (i32.ne (i32.load8_u (local.get $at)) (i32.load8_u (local.get $with))) (then (return (i32.const 0))))
    (local.set $at (i32.add (local.get $at) (i32.const 1)))
    (local.set $with (i32.add (local.get $with) (i32.const 1)))
    (br $next))
  (unreachable))
(func $holds (param $at i32) (param $word i32) (result i32)
  (loop $next
    (if (call $begins (local.get $at) (local.get $word)) (then (return (i32.const 1))))
    (local.set $at (i32.add (local.get $at) (i32.const 1)))
    (br_if $next (i32.load8_u (local.get $at))))
  (i32.const 0))
(func $has (param $word i32) (result i32) (call $holds (global.get $in) (local.get $word)))
{more}
(func (export "opa_eval") (param $reserved i32) (param $entry i32) (param $data i32) (param $input i32)
    (param $length i32) (param $heap i32) (param $format i32) (result i32) (local $i i32)
  (global.set $free (local.get $heap))
  (global.set $in (call $parse (local.get $input) (local.get $length)))
  {body}))"#,
            full = Texts::AT_FULL,
        )
    }

    pub(super) fn bytes(&self, body: &str) -> Vec<u8> {
        let text = self.wat(body);
        wat::parse_str(&text).unwrap_or_else(|error| panic!("{error}\n{text}"))
    }
}

/// As the directory holds it.
pub(super) fn base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// Texts of a module, one behind the other.
struct Texts {
    data: String,
    free: usize,
}

impl Default for Texts {
    fn default() -> Self {
        let mut texts = Self { data: String::new(), free: 16 };
        assert_eq!(texts.add("no memory is left"), Self::AT_FULL);
        texts
    }
}

impl Texts {
    const AT_FULL: &str = "(i32.const 16)";

    fn add(&mut self, text: &str) -> String {
        let at = self.free;
        self.free += text.len() + 1;
        assert!(self.free < 16_384, "more texts than there is room for");
        let escaped: String = text.bytes().map(|byte| format!("\\{byte:02x}")).collect();
        self.data += &format!("(data (i32.const {at}) \"{escaped}\\00\")\n");
        format!("(i32.const {at})")
    }

    fn placed(&mut self, body: &str) -> String {
        let mut pieces = body.split('<');
        let mut placed = pieces.next().unwrap_or_default().to_owned();
        for piece in pieces {
            let (text, rest) = piece.split_once('>').unwrap();
            placed += &self.add(text);
            placed += rest;
        }
        placed
    }
}
