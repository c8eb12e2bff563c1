//! TPMs (QEMU QMP Reference Manual, "TPM (trusted platform module) devices").

use crate::qmp::command::{Command, Empty, commands};
use crate::qmp::qapi::qapi;
use crate::vm::Vm;
use tern_board::config::Tpmdev;

qapi! {
    /// Models of TPM devices.
    enum TpmModel { TpmTis, TpmCrb, TpmSpapr }
    /// Kinds of TPM backends.
    enum TpmType { Passthrough, Emulator }
    /// An emulator's connection.
    struct EmulatorOptions { chardev: String }
    /// The same, wrapped.
    struct EmulatorData { data: EmulatorOptions }
    /// A device of the host.
    struct PassthroughOptions { path: Option<String>, cancel_path: Option<String> }
    /// The same, wrapped.
    struct PassthroughData { data: PassthroughOptions }
    /// What is behind a TPM.
    union TpmOptions { ; by "type" as TpmOptionsKind; Passthrough(PassthroughData), Emulator(EmulatorData) }
    /// A TPM.
    struct Tpm { id: String, model: TpmModel, options: TpmOptions }
}

/// The property by which a device names its TPM.
const PROP: &str = "tpmdev";

/// The commands of this chapter.
pub static COMMANDS: &[Command<Vm>] = commands! { Vm;
    // The one model that there is.
    "query-tpm-models" (Empty) -> Vec<TpmModel> = |_, _| Ok(vec![TpmModel::TpmTis]);
    "query-tpm-types" (Empty) -> Vec<TpmType> = |_, _| Ok(vec![TpmType::Emulator]);
    "query-tpm" (Empty) -> Vec<Tpm> = |vm, _| Ok(tpms(vm));
};

/// TPMs that devices have.
fn tpms(vm: &Vm) -> Vec<Tpm> {
    let world = vm.host.world();
    let named = vm.board.plugged().iter().filter(|p| p.props.declared(PROP).is_some());
    let found = named.filter_map(|p| world.tpmdevs.get(p.props.text(PROP)));
    let one = |t: &Tpmdev| {
        let data = EmulatorOptions { chardev: t.chardev.clone() };
        let options = TpmOptions { kind: TpmOptionsKind::Emulator(EmulatorData { data }) };
        Tpm { id: t.id.clone(), model: TpmModel::TpmTis, options }
    };
    found.map(one).collect()
}
