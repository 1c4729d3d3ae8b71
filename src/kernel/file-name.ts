/** What can name an entry of a directory: anything but nothing, the two names every directory has, slash and zero. */
export const FILE_NAME = /^(?!\.{1,2}$)[^/\0]+$/;
