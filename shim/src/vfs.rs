//! How SQLite comes here: its default file layer is a copy of the system's own in which opening and
//! removing look whether the file is in a watched folder.

use crate::lock;
use crate::methods::{self, Handle, Opened};
use crate::world::World;
use rusqlite::ffi::{self, sqlite3_file, sqlite3_filename, sqlite3_vfs};
use std::collections::BTreeMap;
use std::ffi::{CStr, OsStr, c_char, c_int};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};
use std::sync::{Arc, Mutex, Once, Weak};

/// The file layer of the system; set before the shim is registered, and never again.
static REAL: AtomicPtr<sqlite3_vfs> = AtomicPtr::new(ptr::null_mut());
static INSTALL: Once = Once::new();
/// Folders by their path without links.
static WATCHED: Mutex<BTreeMap<PathBuf, Weak<Mutex<World>>>> = Mutex::new(BTreeMap::new());

/// Watches a folder from now on, until nobody has the world and no file in it is open.
pub(crate) fn watch(folder: &Path, world: &Arc<Mutex<World>>) {
    INSTALL.call_once(install);
    let mut watched = lock(&WATCHED);
    watched.retain(|_, world| world.strong_count() > 0);
    watched.insert(folder.to_owned(), Arc::downgrade(world));
}

fn install() {
    // SAFETY: the name ends with a zero, and SQLite sets itself up when it is asked.
    let real = unsafe { ffi::sqlite3_vfs_find(c"unix".as_ptr()) };
    assert!(!real.is_null(), "SQLite was built without the file layer \"unix\"");
    // SAFETY: what was found is there, and is never changed or freed while SQLite is in use.
    let mut shim = unsafe { *real };
    // The system's own file stands behind ours.
    shim.szOsFile += size_of::<Opened>() as c_int;
    shim.pNext = ptr::null_mut();
    shim.zName = c"duramen-shim".as_ptr();
    shim.xOpen = Some(open);
    shim.xDelete = Some(delete);
    REAL.store(real, Ordering::Release);
    // SAFETY: the memory is given away for ever, as registering wants it. What was not replaced in the
    // copy belongs to the system's layer, which looks at nothing of the layer it is called for but what
    // was copied with it.
    let registered = unsafe { ffi::sqlite3_vfs_register(Box::leak(Box::new(shim)), 1) };
    assert_eq!(registered, ffi::SQLITE_OK, "SQLite did not take the shim as a file layer");
}

/// The world that a path belongs to, and its name there.
pub(crate) fn find(path: &Path) -> Option<(Arc<Mutex<World>>, String)> {
    let (folder, name) = (path.parent()?, path.file_name()?.to_str()?);
    let world = lock(&WATCHED).get(folder)?.upgrade()?;
    Some((world, name.to_owned()))
}

/// # Safety
///
/// `name` is null or ends with a zero.
unsafe fn path_of<'a>(name: *const c_char) -> Option<&'a Path> {
    // SAFETY: it is not null then, and the caller says that it ends with a zero.
    let bytes = (!name.is_null()).then(|| unsafe { CStr::from_ptr(name) }.to_bytes())?;
    Some(Path::new(OsStr::from_bytes(bytes)))
}

/// The file layer's own `xOpen`.
///
/// # Safety
///
/// As SQLite says: `file` has room for `szOsFile` bytes, and `name` lives until the file is closed.
unsafe extern "C" fn open(
    _: *mut sqlite3_vfs,
    name: sqlite3_filename,
    file: *mut sqlite3_file,
    flags: c_int,
    out: *mut c_int,
) -> c_int {
    let real = REAL.load(Ordering::Acquire);
    let open_real = |file: *mut sqlite3_file| {
        // SAFETY: the layer was found by SQLite and has this method; the arguments are what SQLite
        // gave, but for a file that has the room which the layer asks for.
        unsafe { ((*real).xOpen.expect("every file layer opens files"))(real, name, file, flags, out) }
    };
    // SAFETY: SQLite's names are null or end with a zero.
    let path = unsafe { path_of(name) }.filter(|_| flags & ffi::SQLITE_OPEN_DELETEONCLOSE == 0);
    let Some((path, (shared, name))) = path.and_then(|path| Some((path, find(path)?))) else {
        return open_real(file);
    };
    let opened = file.cast::<Opened>();
    // SAFETY: there is room for an `Opened` and the real file behind it. Without methods SQLite takes
    // the file for one that was not opened, until they are set.
    let real_file = unsafe {
        (*opened).base.pMethods = ptr::null();
        methods::real(file)
    };
    let mut world = lock(&shared);
    if world.is_dead() {
        return ffi::SQLITE_CANTOPEN;
    }
    let found = path.exists().then(|| std::fs::read(path).unwrap_or_default());
    let done = open_real(real_file);
    if done == ffi::SQLITE_OK {
        let id = world.open(&name, found);
        let handle = Handle::new(shared.clone(), id, syncs_names(flags));
        // SAFETY: as above; the handle is freed when the file is closed.
        unsafe { methods::begin(opened, handle) };
    }
    done
}

/// Whether the first sync of a file syncs its folder too: SQLite does that for files that it makes
/// beside the database.
fn syncs_names(flags: c_int) -> bool {
    let beside = ffi::SQLITE_OPEN_MAIN_JOURNAL | ffi::SQLITE_OPEN_SUPER_JOURNAL | ffi::SQLITE_OPEN_WAL;
    flags & ffi::SQLITE_OPEN_CREATE != 0 && flags & beside != 0
}

/// The file layer's own `xDelete`.
///
/// # Safety
///
/// As SQLite says: `name` ends with a zero.
unsafe extern "C" fn delete(_: *mut sqlite3_vfs, name: *const c_char, sync: c_int) -> c_int {
    let real = REAL.load(Ordering::Acquire);
    // SAFETY: as in `open`.
    let delete_real = || unsafe { ((*real).xDelete.expect("every file layer removes files"))(real, name, 0) };
    // SAFETY: SQLite's names end with a zero.
    match unsafe { path_of(name) }.and_then(find) {
        Some((world, name)) => lock(&world).delete(&name, sync != 0, delete_real),
        // SAFETY: as in `open`.
        None => unsafe { ((*real).xDelete.expect("every file layer removes files"))(real, name, sync) },
    }
}
