//! Puts together what the options of a line refer to.

use super::{At, Line, Stop, block, chars, device, machine, net};
use tern_board::config::Char;

/// After the last option.
pub(super) fn finish(line: &mut Line) -> Result<(), Stop> {
    if !line.accels.is_empty() && !line.accels.iter().any(|a| a == "tcg") {
        return Err(format!("invalid accelerator {}, only tcg is supported", line.accels[0]).into());
    }
    if let Some(At { place, .. }) = line.rtc_host.take().filter(|_| line.icount) {
        line.place = place;
        return Err("clock=host and -icount are not supported together, only clock=vm".to_owned().into());
    }
    let needs = [("-initrd", line.config.initrd.is_some()), ("-append", !line.config.append.is_empty())];
    if let Some((option, _)) = needs.iter().find(|(_, given)| *given && line.config.kernel.is_none()) {
        return Err(format!("{option} only allowed with -kernel option").into());
    }
    machine::find_firmware(line);
    net::dumps(line)?;
    // Devices of their own first: drives without one come after them in QEMU too.
    for At { place, value } in core::mem::take(&mut line.devices) {
        line.place = place;
        device::add(line, value)?;
    }
    line.place.clear();
    device::consoles_done(line)?;
    for id in core::mem::take(&mut line.disks) {
        device::plain_disk(line, &id)?;
    }
    for bank in 0..line.flash.len() {
        if let Some(At { place, value }) = line.flash[bank].take() {
            line.place = place;
            line.config.flash[bank] = Some(block::take(line, &value)?);
        }
    }
    for At { place, value } in core::mem::take(&mut line.serials) {
        line.place = place;
        let port = chars::serial(line, &value)?;
        line.config.serials.push(port);
    }
    line.place.clear();
    default_serial(line)
}

/// The first serial port, if nothing was said about it: with `-nographic`, or if nothing was said about displays either,
/// since there is none, the terminal.
fn default_serial(line: &mut Line) -> Result<(), Stop> {
    if !line.config.serials.is_empty() {
        return Ok(());
    }
    let terminal = !line.nodefaults && (line.nographic || !line.display);
    if terminal && line.stdio && line.nographic {
        return Err("cannot use stdio by multiple character devices (-nographic takes it too)".to_owned().into());
    }
    let port = if terminal && !line.stdio { Char::Stdio(true) } else { Char::Null };
    line.stdio |= port == Char::Stdio(true);
    line.config.serials.push(port);
    Ok(())
}
