package storage

import "time"

// KeyPackage is a serialised MLS KeyPackage (RFC 9420 §10).
type KeyPackage struct {
	// Ref is its KeyPackageRef.
	Ref  []byte
	Data []byte
	// Expires is the end of its lifetime. From then on it is not given out.
	Expires time.Time
}

// KeyPackageUpload is what a device stores in one step.
type KeyPackageUpload struct {
	Device    [16]byte
	SingleUse []KeyPackage
	// LastResort replaces the device's last-resort KeyPackage; nil leaves it.
	LastResort *KeyPackage
	Now        time.Time
}

// DeviceKeys is what it takes to invite a device.
type DeviceKeys struct {
	Device     [16]byte
	KeyPackage []byte
	LastResort bool
	HybridKey  []byte
}
