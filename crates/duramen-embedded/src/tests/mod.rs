mod conforms;
mod folder;
