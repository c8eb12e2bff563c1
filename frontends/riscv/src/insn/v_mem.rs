//! Vector loads and stores (V specification, chapter 7).

use super::Rv;
use super::vector::memory;
use crate::vector::mem::Memory;
use tern_decode::insns;

insns! {
    /// Loads.
    pub static V_LOAD: Group<Rv>, "v", width 32;
    /// 8-bit elements or fields, one after the other.
    vle8_v: "vl{n:seg}e8.v" "nnn 000 m 00000 aaaaa 000 ddddd 0000111" asm "{d:v}, ({a:x}){m:vm}"
        => |t, a| memory(t, Memory::Unit, a, None);
    /// 8-bit elements up to the first that faults.
    vle8ff_v: "vl{n:seg}e8ff.v" "nnn 000 m 10000 aaaaa 000 ddddd 0000111" asm "{d:v}, ({a:x}){m:vm}"
        => |t, a| memory(t, Memory::FirstFault, a, None);
    /// 8-bit elements at equal distances.
    vlse8_v: "vls{n:seg}e8.v" "nnn 010 m bbbbb aaaaa 000 ddddd 0000111" asm "{d:v}, ({a:x}), {b:x}{m:vm}"
        => |t, a, b| memory(t, Memory::Strided, a, Some(b));
    /// By 8-bit offsets, in any order.
    vluxei8_v: "vlux{n:seg}ei8.v" "nnn 001 m bbbbb aaaaa 000 ddddd 0000111" asm "{d:v}, ({a:x}), {b:v}{m:vm}"
        => |t, a| memory(t, Memory::Indexed, a, None);
    /// By 8-bit offsets, in order.
    vloxei8_v: "vlox{n:seg}ei8.v" "nnn 011 m bbbbb aaaaa 000 ddddd 0000111" asm "{d:v}, ({a:x}), {b:v}{m:vm}"
        => |t, a| memory(t, Memory::Indexed, a, None);
    /// Whole registers of 8-bit elements.
    vlre8_v: "vl{n:nreg}re8.v" "nnn 000 1 01000 aaaaa 000 ddddd 0000111" asm "{d:v}, ({a:x})"
        => |t, a| memory(t, Memory::WholeRegisters, a, None);
    /// 16-bit elements or fields, one after the other.
    vle16_v: "vl{n:seg}e16.v" "nnn 000 m 00000 aaaaa 101 ddddd 0000111" asm "{d:v}, ({a:x}){m:vm}"
        => |t, a| memory(t, Memory::Unit, a, None);
    /// 16-bit elements up to the first that faults.
    vle16ff_v: "vl{n:seg}e16ff.v" "nnn 000 m 10000 aaaaa 101 ddddd 0000111" asm "{d:v}, ({a:x}){m:vm}"
        => |t, a| memory(t, Memory::FirstFault, a, None);
    /// 16-bit elements at equal distances.
    vlse16_v: "vls{n:seg}e16.v" "nnn 010 m bbbbb aaaaa 101 ddddd 0000111" asm "{d:v}, ({a:x}), {b:x}{m:vm}"
        => |t, a, b| memory(t, Memory::Strided, a, Some(b));
    /// By 16-bit offsets, in any order.
    vluxei16_v: "vlux{n:seg}ei16.v" "nnn 001 m bbbbb aaaaa 101 ddddd 0000111" asm "{d:v}, ({a:x}), {b:v}{m:vm}"
        => |t, a| memory(t, Memory::Indexed, a, None);
    /// By 16-bit offsets, in order.
    vloxei16_v: "vlox{n:seg}ei16.v" "nnn 011 m bbbbb aaaaa 101 ddddd 0000111" asm "{d:v}, ({a:x}), {b:v}{m:vm}"
        => |t, a| memory(t, Memory::Indexed, a, None);
    /// Whole registers of 16-bit elements.
    vlre16_v: "vl{n:nreg}re16.v" "nnn 000 1 01000 aaaaa 101 ddddd 0000111" asm "{d:v}, ({a:x})"
        => |t, a| memory(t, Memory::WholeRegisters, a, None);
    /// 32-bit elements or fields, one after the other.
    vle32_v: "vl{n:seg}e32.v" "nnn 000 m 00000 aaaaa 110 ddddd 0000111" asm "{d:v}, ({a:x}){m:vm}"
        => |t, a| memory(t, Memory::Unit, a, None);
    /// 32-bit elements up to the first that faults.
    vle32ff_v: "vl{n:seg}e32ff.v" "nnn 000 m 10000 aaaaa 110 ddddd 0000111" asm "{d:v}, ({a:x}){m:vm}"
        => |t, a| memory(t, Memory::FirstFault, a, None);
    /// 32-bit elements at equal distances.
    vlse32_v: "vls{n:seg}e32.v" "nnn 010 m bbbbb aaaaa 110 ddddd 0000111" asm "{d:v}, ({a:x}), {b:x}{m:vm}"
        => |t, a, b| memory(t, Memory::Strided, a, Some(b));
    /// By 32-bit offsets, in any order.
    vluxei32_v: "vlux{n:seg}ei32.v" "nnn 001 m bbbbb aaaaa 110 ddddd 0000111" asm "{d:v}, ({a:x}), {b:v}{m:vm}"
        => |t, a| memory(t, Memory::Indexed, a, None);
    /// By 32-bit offsets, in order.
    vloxei32_v: "vlox{n:seg}ei32.v" "nnn 011 m bbbbb aaaaa 110 ddddd 0000111" asm "{d:v}, ({a:x}), {b:v}{m:vm}"
        => |t, a| memory(t, Memory::Indexed, a, None);
    /// Whole registers of 32-bit elements.
    vlre32_v: "vl{n:nreg}re32.v" "nnn 000 1 01000 aaaaa 110 ddddd 0000111" asm "{d:v}, ({a:x})"
        => |t, a| memory(t, Memory::WholeRegisters, a, None);
    /// 64-bit elements or fields, one after the other.
    vle64_v: "vl{n:seg}e64.v" "nnn 000 m 00000 aaaaa 111 ddddd 0000111" asm "{d:v}, ({a:x}){m:vm}"
        => |t, a| memory(t, Memory::Unit, a, None);
    /// 64-bit elements up to the first that faults.
    vle64ff_v: "vl{n:seg}e64ff.v" "nnn 000 m 10000 aaaaa 111 ddddd 0000111" asm "{d:v}, ({a:x}){m:vm}"
        => |t, a| memory(t, Memory::FirstFault, a, None);
    /// 64-bit elements at equal distances.
    vlse64_v: "vls{n:seg}e64.v" "nnn 010 m bbbbb aaaaa 111 ddddd 0000111" asm "{d:v}, ({a:x}), {b:x}{m:vm}"
        => |t, a, b| memory(t, Memory::Strided, a, Some(b));
    /// By 64-bit offsets, in any order.
    vluxei64_v: "vlux{n:seg}ei64.v" "nnn 001 m bbbbb aaaaa 111 ddddd 0000111" asm "{d:v}, ({a:x}), {b:v}{m:vm}"
        => |t, a| memory(t, Memory::Indexed, a, None);
    /// By 64-bit offsets, in order.
    vloxei64_v: "vlox{n:seg}ei64.v" "nnn 011 m bbbbb aaaaa 111 ddddd 0000111" asm "{d:v}, ({a:x}), {b:v}{m:vm}"
        => |t, a| memory(t, Memory::Indexed, a, None);
    /// Whole registers of 64-bit elements.
    vlre64_v: "vl{n:nreg}re64.v" "nnn 000 1 01000 aaaaa 111 ddddd 0000111" asm "{d:v}, ({a:x})"
        => |t, a| memory(t, Memory::WholeRegisters, a, None);
    /// A mask.
    vlm_v: "vlm.v" "000 000 1 01011 aaaaa 000 ddddd 0000111" asm "{d:v}, ({a:x})"
        => |t, a| memory(t, Memory::Mask, a, None);
}

insns! {
    /// Stores.
    pub static V_STORE: Group<Rv>, "v", width 32;
    /// 8-bit elements or fields, one after the other.
    vse8_v: "vs{n:seg}e8.v" "nnn 000 m 00000 aaaaa 000 ddddd 0100111" asm "{d:v}, ({a:x}){m:vm}"
        => |t, a| memory(t, Memory::Unit, a, None);
    /// 8-bit elements at equal distances.
    vsse8_v: "vss{n:seg}e8.v" "nnn 010 m bbbbb aaaaa 000 ddddd 0100111" asm "{d:v}, ({a:x}), {b:x}{m:vm}"
        => |t, a, b| memory(t, Memory::Strided, a, Some(b));
    /// By 8-bit offsets, in any order.
    vsuxei8_v: "vsux{n:seg}ei8.v" "nnn 001 m bbbbb aaaaa 000 ddddd 0100111" asm "{d:v}, ({a:x}), {b:v}{m:vm}"
        => |t, a| memory(t, Memory::Indexed, a, None);
    /// By 8-bit offsets, in order.
    vsoxei8_v: "vsox{n:seg}ei8.v" "nnn 011 m bbbbb aaaaa 000 ddddd 0100111" asm "{d:v}, ({a:x}), {b:v}{m:vm}"
        => |t, a| memory(t, Memory::Indexed, a, None);
    /// 16-bit elements or fields, one after the other.
    vse16_v: "vs{n:seg}e16.v" "nnn 000 m 00000 aaaaa 101 ddddd 0100111" asm "{d:v}, ({a:x}){m:vm}"
        => |t, a| memory(t, Memory::Unit, a, None);
    /// 16-bit elements at equal distances.
    vsse16_v: "vss{n:seg}e16.v" "nnn 010 m bbbbb aaaaa 101 ddddd 0100111" asm "{d:v}, ({a:x}), {b:x}{m:vm}"
        => |t, a, b| memory(t, Memory::Strided, a, Some(b));
    /// By 16-bit offsets, in any order.
    vsuxei16_v: "vsux{n:seg}ei16.v" "nnn 001 m bbbbb aaaaa 101 ddddd 0100111" asm "{d:v}, ({a:x}), {b:v}{m:vm}"
        => |t, a| memory(t, Memory::Indexed, a, None);
    /// By 16-bit offsets, in order.
    vsoxei16_v: "vsox{n:seg}ei16.v" "nnn 011 m bbbbb aaaaa 101 ddddd 0100111" asm "{d:v}, ({a:x}), {b:v}{m:vm}"
        => |t, a| memory(t, Memory::Indexed, a, None);
    /// 32-bit elements or fields, one after the other.
    vse32_v: "vs{n:seg}e32.v" "nnn 000 m 00000 aaaaa 110 ddddd 0100111" asm "{d:v}, ({a:x}){m:vm}"
        => |t, a| memory(t, Memory::Unit, a, None);
    /// 32-bit elements at equal distances.
    vsse32_v: "vss{n:seg}e32.v" "nnn 010 m bbbbb aaaaa 110 ddddd 0100111" asm "{d:v}, ({a:x}), {b:x}{m:vm}"
        => |t, a, b| memory(t, Memory::Strided, a, Some(b));
    /// By 32-bit offsets, in any order.
    vsuxei32_v: "vsux{n:seg}ei32.v" "nnn 001 m bbbbb aaaaa 110 ddddd 0100111" asm "{d:v}, ({a:x}), {b:v}{m:vm}"
        => |t, a| memory(t, Memory::Indexed, a, None);
    /// By 32-bit offsets, in order.
    vsoxei32_v: "vsox{n:seg}ei32.v" "nnn 011 m bbbbb aaaaa 110 ddddd 0100111" asm "{d:v}, ({a:x}), {b:v}{m:vm}"
        => |t, a| memory(t, Memory::Indexed, a, None);
    /// 64-bit elements or fields, one after the other.
    vse64_v: "vs{n:seg}e64.v" "nnn 000 m 00000 aaaaa 111 ddddd 0100111" asm "{d:v}, ({a:x}){m:vm}"
        => |t, a| memory(t, Memory::Unit, a, None);
    /// 64-bit elements at equal distances.
    vsse64_v: "vss{n:seg}e64.v" "nnn 010 m bbbbb aaaaa 111 ddddd 0100111" asm "{d:v}, ({a:x}), {b:x}{m:vm}"
        => |t, a, b| memory(t, Memory::Strided, a, Some(b));
    /// By 64-bit offsets, in any order.
    vsuxei64_v: "vsux{n:seg}ei64.v" "nnn 001 m bbbbb aaaaa 111 ddddd 0100111" asm "{d:v}, ({a:x}), {b:v}{m:vm}"
        => |t, a| memory(t, Memory::Indexed, a, None);
    /// By 64-bit offsets, in order.
    vsoxei64_v: "vsox{n:seg}ei64.v" "nnn 011 m bbbbb aaaaa 111 ddddd 0100111" asm "{d:v}, ({a:x}), {b:v}{m:vm}"
        => |t, a| memory(t, Memory::Indexed, a, None);
    /// A mask.
    vsm_v: "vsm.v" "000 000 1 01011 aaaaa 000 ddddd 0100111" asm "{d:v}, ({a:x})"
        => |t, a| memory(t, Memory::Mask, a, None);
    /// Whole registers.
    vsr_v: "vs{n:nreg}r.v" "nnn 000 1 01000 aaaaa 000 ddddd 0100111" asm "{d:v}, ({a:x})"
        => |t, a| memory(t, Memory::WholeRegisters, a, None);
}
