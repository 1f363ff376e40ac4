package check

import "golang.org/x/sys/windows"

// diskSpace gives the bytes that this user can write, and those of the disk.
func diskSpace(dir string) (free, total uint64, err error) {
	name, err := windows.UTF16PtrFromString(dir)
	if err != nil {
		return 0, 0, err
	}
	err = windows.GetDiskFreeSpaceEx(name, &free, &total, nil)
	return free, total, err
}
