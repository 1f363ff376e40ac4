package storage

import (
	"errors"
	"time"
)

const (
	// PastEpochs is how many epochs before the current one a channel accepts
	// posts for, and keeps verify keys of. A commit that changes the
	// addresses ends this for the epochs before it: those who joined could not
	// read them, and those who were removed could still post.
	PastEpochs = 5
	// WinnerEpochs is of how many ended epochs a channel remembers the winner.
	WinnerEpochs = 64
	// MaxEpoch is the largest epoch that a channel can have.
	MaxEpoch = 1<<62 - 1
	// RevokedDevices is how many revoked devices of an account are remembered,
	// the latest first.
	RevokedDevices = 256
	// MaxPushTargets is how many queues one call of PushTargets takes.
	MaxPushTargets = 256
)

// Limits bounds what a store keeps. Every field must be positive.
type Limits struct {
	// Devices per account.
	Devices int
	// KeyPackages, single-use, per device.
	KeyPackages int
	// QueueItems and QueueBytes (of sealed items) per queue.
	QueueItems int
	QueueBytes int64
	// ChannelAddresses per channel.
	ChannelAddresses int
	// ItemTTL is how long queue items wait, and how long a channel knows an
	// item id again.
	ItemTTL time.Duration
	// ChannelTTL is how long a channel lives after its last post or commit.
	ChannelTTL time.Duration
	// UploadTTL is how long an upload may take, and BlobTTL how long a finished
	// blob is kept.
	UploadTTL, BlobTTL time.Duration
	// ReportTTL is how long a report is kept, and ReportsPerDay how many can
	// count against one QuotaKey.
	ReportTTL     time.Duration
	ReportsPerDay int
	// BlobQuota is how many bytes can be charged to one QuotaKey.
	BlobQuota int64
	// Endpoints of other servers, of all and of one network.
	Endpoints, EndpointsPerNetwork int
}

// DefaultLimits is for a server of ordinary size.
func DefaultLimits() Limits {
	return Limits{
		Devices:          10,
		KeyPackages:      500,
		QueueItems:       10_000,
		QueueBytes:       64 << 20,
		ChannelAddresses: 5000,
		ItemTTL:          30 * 24 * time.Hour,
		ChannelTTL:       365 * 24 * time.Hour,
		UploadTTL:        24 * time.Hour,
		BlobTTL:          30 * 24 * time.Hour,
		BlobQuota:        2 << 30,
		ReportTTL:        90 * 24 * time.Hour,
		ReportsPerDay:    20,

		Endpoints:           10_000,
		EndpointsPerNetwork: 20,
	}
}

// Validate tells whether every limit is positive.
func (l Limits) Validate() error {
	if l.Devices <= 0 || l.KeyPackages <= 0 || l.QueueItems <= 0 || l.QueueBytes <= 0 ||
		l.ChannelAddresses <= 0 || l.ItemTTL <= 0 || l.ChannelTTL <= 0 ||
		l.UploadTTL <= 0 || l.BlobTTL <= 0 || l.BlobQuota <= 0 || l.ReportTTL <= 0 || l.ReportsPerDay <= 0 ||
		l.Endpoints <= 0 || l.EndpointsPerNetwork <= 0 {
		return errors.New("every storage limit must be positive")
	}
	return nil
}
