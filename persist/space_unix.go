//go:build unix

package persist

import "golang.org/x/sys/unix"

// Statfs asks the file system that holds dir. It is the default StatFunc.
func Statfs(dir string) (DiskSpace, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return DiskSpace{}, err
	}
	return DiskSpace{Free: uint64(st.Bavail) * uint64(st.Bsize), Total: uint64(st.Blocks) * uint64(st.Bsize)}, nil
}
