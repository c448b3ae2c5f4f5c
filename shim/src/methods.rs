//! The methods of an open file: what changes it goes through its world, the rest to the system's own.

use crate::lock;
use crate::world::World;
use rusqlite::ffi::{self, sqlite3_file, sqlite3_int64, sqlite3_io_methods};
use std::ffi::{c_int, c_void};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

/// What SQLite has in its hands. The system's own file stands directly behind it.
#[repr(C)]
pub(crate) struct Opened {
    pub(crate) base: sqlite3_file,
    handle: *mut Handle,
}

/// Which file it is.
pub(crate) struct Handle {
    world: Arc<Mutex<World>>,
    id: u64,
    /// The next sync makes the names in the folder durable too.
    syncs_names: AtomicBool,
}

impl Handle {
    pub(crate) fn new(world: Arc<Mutex<World>>, id: u64, syncs_names: bool) -> Self {
        Self { world, id, syncs_names: AtomicBool::new(syncs_names) }
    }
}

/// The system's own file.
///
/// # Safety
///
/// There is room for it behind `file`, as SQLite makes it by `szOsFile`.
pub(crate) unsafe fn real(file: *mut sqlite3_file) -> *mut sqlite3_file {
    // SAFETY: the caller says so; the size of `Opened` is a multiple of what the other must be aligned to.
    unsafe { file.cast::<Opened>().add(1).cast() }
}

/// Makes a file whose real one is open one of ours.
///
/// # Safety
///
/// `opened` can be written to.
pub(crate) unsafe fn begin(opened: *mut Opened, handle: Handle) {
    let opened_file =
        Opened { base: sqlite3_file { pMethods: &raw const METHODS }, handle: Box::into_raw(Box::new(handle)) };
    // SAFETY: the caller says so.
    unsafe { opened.write(opened_file) };
}

/// # Safety
///
/// `file` was given to `begin` and is not closed.
unsafe fn handle<'a>(file: *mut sqlite3_file) -> &'a Handle {
    // SAFETY: `begin` has put it there, and only `close` takes it away.
    unsafe { &*(*file.cast::<Opened>()).handle }
}

/// Calls a method of the real file.
///
/// # Safety
///
/// In the body of a method: SQLite calls those with a file that `begin` has made and that is open, and
/// with arguments that fit the method.
macro_rules! real {
    ($file:ident . $method:ident ( $($argument:expr),* )) => {
        // SAFETY: a method is only called on a file that `begin` has made, whose real one is open; the
        // arguments are those of SQLite.
        unsafe {
            let real = real($file);
            ((*(*real).pMethods).$method.expect("the system's files have all methods"))(real $(, $argument)*)
        }
    };
}

/// Methods that are the real file's.
macro_rules! forward {
    ($($name:ident = $method:ident ( $($argument:ident : $kind:ty),* ) $(-> $result:ty)?;)*) => {
        $(unsafe extern "C" fn $name(file: *mut sqlite3_file $(, $argument: $kind)*) $(-> $result)? {
            real!(file.$method($($argument),*))
        })*
    };
}

forward! {
    file_size = xFileSize(size: *mut sqlite3_int64) -> c_int;
    take_lock = xLock(level: c_int) -> c_int;
    unlock = xUnlock(level: c_int) -> c_int;
    check_reserved_lock = xCheckReservedLock(result: *mut c_int) -> c_int;
    sector_size = xSectorSize() -> c_int;
    device_characteristics = xDeviceCharacteristics() -> c_int;
    shm_map = xShmMap(page: c_int, size: c_int, extend: c_int, memory: *mut *mut c_void) -> c_int;
    shm_lock = xShmLock(offset: c_int, count: c_int, flags: c_int) -> c_int;
    shm_barrier = xShmBarrier();
    shm_unmap = xShmUnmap(delete: c_int) -> c_int;
    fetch = xFetch(offset: sqlite3_int64, amount: c_int, memory: *mut *mut c_void) -> c_int;
    unfetch = xUnfetch(offset: sqlite3_int64, memory: *mut c_void) -> c_int;
}

static METHODS: sqlite3_io_methods = sqlite3_io_methods {
    iVersion: 3,
    xClose: Some(close),
    xRead: Some(read),
    xWrite: Some(write),
    xTruncate: Some(truncate),
    xSync: Some(sync),
    xFileSize: Some(file_size),
    xLock: Some(take_lock),
    xUnlock: Some(unlock),
    xCheckReservedLock: Some(check_reserved_lock),
    xFileControl: Some(file_control),
    xSectorSize: Some(sector_size),
    xDeviceCharacteristics: Some(device_characteristics),
    xShmMap: Some(shm_map),
    xShmLock: Some(shm_lock),
    xShmBarrier: Some(shm_barrier),
    xShmUnmap: Some(shm_unmap),
    xFetch: Some(fetch),
    xUnfetch: Some(unfetch),
};

unsafe extern "C" fn close(file: *mut sqlite3_file) -> c_int {
    let done = real!(file.xClose());
    // SAFETY: `begin` made the handle from a box, and SQLite closes a file once and uses it no more.
    unsafe { drop(Box::from_raw((*file.cast::<Opened>()).handle)) };
    done
}

unsafe extern "C" fn read(file: *mut sqlite3_file, into: *mut c_void, amount: c_int, offset: sqlite3_int64) -> c_int {
    // SAFETY: SQLite calls a method only on an open file.
    if lock(&unsafe { handle(file) }.world).is_dead() {
        return ffi::SQLITE_IOERR_READ;
    }
    real!(file.xRead(into, amount, offset))
}

unsafe extern "C" fn write(
    file: *mut sqlite3_file,
    from: *const c_void,
    amount: c_int,
    offset: sqlite3_int64,
) -> c_int {
    // SAFETY: as in `read`; and SQLite gives as many bytes as it says.
    let (handle, bytes) = unsafe { (handle(file), std::slice::from_raw_parts(from.cast::<u8>(), amount as usize)) };
    let perform = || real!(file.xWrite(from, amount, offset));
    lock(&handle.world).write(handle.id, offset as usize, bytes, perform)
}

unsafe extern "C" fn truncate(file: *mut sqlite3_file, size: sqlite3_int64) -> c_int {
    // SAFETY: as in `read`.
    let handle = unsafe { handle(file) };
    lock(&handle.world).truncate(handle.id, size as usize, || real!(file.xTruncate(size)))
}

unsafe extern "C" fn sync(file: *mut sqlite3_file, _flags: c_int) -> c_int {
    // SAFETY: as in `read`.
    let handle = unsafe { handle(file) };
    let slow = lock(&handle.world).slow_syncs();
    slow.into_iter().for_each(thread::sleep);
    let names_too = handle.syncs_names.load(Ordering::Relaxed);
    let done = lock(&handle.world).sync(handle.id, names_too);
    if done == ffi::SQLITE_OK {
        handle.syncs_names.store(false, Ordering::Relaxed);
    }
    done
}

unsafe extern "C" fn file_control(file: *mut sqlite3_file, operation: c_int, argument: *mut c_void) -> c_int {
    match operation {
        // Hints after which the system's layer would change the size of a file on its own.
        ffi::SQLITE_FCNTL_SIZE_HINT | ffi::SQLITE_FCNTL_CHUNK_SIZE => ffi::SQLITE_OK,
        _ => real!(file.xFileControl(operation, argument)),
    }
}
