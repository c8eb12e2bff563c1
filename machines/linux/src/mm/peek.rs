//! Memory for debuggers: what is mapped can be read and written, whatever the guest itself may do with it.

use super::{Space, page_down};
use tern_core::mem::{PAGE_MASK, PAGE_SHIFT, PAGE_SIZE};

impl Space {
    /// Copies memory out; how many bytes there are.
    pub fn peek(&self, addr: u64, buf: &mut [u8]) -> usize {
        let mut done = 0;
        while done < buf.len() {
            let Some(at) = addr.checked_add(done as u64) else { break };
            let n = ((PAGE_SIZE - (at & PAGE_MASK)) as usize).min(buf.len() - done);
            let Some(span) = self.find(at).and_then(|vma| vma.span(page_down(at))) else { break };
            if !span.read((at & PAGE_MASK) as usize, &mut buf[done..done + n]) {
                break;
            }
            done += n;
        }
        done
    }

    /// Copies memory in; how many bytes could be written.  Files that are shared with others are not written to unless the
    /// guest may do it.
    pub fn poke(&mut self, addr: u64, bytes: &[u8]) -> usize {
        let mut done = 0;
        while done < bytes.len() {
            let Some(at) = addr.checked_add(done as u64) else { break };
            let n = ((PAGE_SIZE - (at & PAGE_MASK)) as usize).min(bytes.len() - done);
            let Some(vma) = self.find(at) else { break };
            if vma.traits.shared && !vma.perm.write {
                break;
            }
            let Some(span) = vma.span(page_down(at)) else { break };
            if self.dirty.is_some() {
                self.note_write(at, span);
            }
            if !span.write((at & PAGE_MASK) as usize, &bytes[done..done + n]) {
                break;
            }
            if self.code.contains(&(at >> PAGE_SHIFT)) {
                self.invalidate(at, at + 1);
            }
            done += n;
        }
        done
    }
}
