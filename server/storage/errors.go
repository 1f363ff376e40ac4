package storage

import "errors"

var (
	// ErrClosed: the store was closed, or is closing.
	ErrClosed = errors.New("store is closed")
	// ErrUncertain: the connection to the database was lost while a change was
	// being made durable, and did not come back in time to ask what became of
	// it: it was made or not, and asking for it again does no harm.
	ErrUncertain = errors.New("connection to the database was lost: a change was made or not")
	// ErrSchemaNewer: the database was written by a newer version of the
	// program. Nothing was changed; run that version.
	ErrSchemaNewer = errors.New("database was written by a newer version of the program")
	// ErrSchemaOlder: the database was written by an older version of the
	// program. Opening it brings it up to date; only a check gives this.
	ErrSchemaOlder = errors.New("database was written by an older version of the program")

	// ErrInviteExists: an invite with this hash exists.
	ErrInviteExists = errors.New("invite exists")
	// ErrInviteUnknown: there is no such invite.
	ErrInviteUnknown = errors.New("no such invite")
	// ErrInviteUsedUp: the invite has no uses left.
	ErrInviteUsedUp = errors.New("invite is used up")
	// ErrInviteExpired: the invite was valid once.
	ErrInviteExpired = errors.New("invite has expired")

	// ErrNameTaken: another account has the name.
	ErrNameTaken = errors.New("name is taken")
	// ErrAccountExists: an account with this id exists.
	ErrAccountExists = errors.New("account exists")
	// ErrUnknownAccount: there is no such account.
	ErrUnknownAccount = errors.New("no such account")

	// ErrAccountChanged: the password or the recovery bundle is not the one
	// that a change is based on.
	ErrAccountChanged = errors.New("account was changed meanwhile")
	// ErrNoRecovery: the account has no recovery bundle.
	ErrNoRecovery = errors.New("account has no recovery bundle")
	// ErrTooManyTries: too many guesses of a recovery code on one day.
	ErrTooManyTries = errors.New("too many guesses today")
	// ErrForbidden: the role of the one who asks does not allow it.
	ErrForbidden = errors.New("role does not allow this")
	// ErrLastAdmin: nobody else could administer the server.
	ErrLastAdmin = errors.New("account is the last admin")
	// ErrUnknownReport: there is no such report; it may have expired.
	ErrUnknownReport = errors.New("no such report")
	// ErrReportQuota: the count would be more than Limits.ReportsPerDay.
	ErrReportQuota = errors.New("quota of reports is used up")

	// ErrUnknownDevice: there is no such device, or it is not of this account.
	ErrUnknownDevice = errors.New("no such device")
	// ErrDeviceRevoked: the device was revoked and cannot come back.
	ErrDeviceRevoked = errors.New("device was revoked")
	// ErrDeviceExists: the device belongs to another account.
	ErrDeviceExists = errors.New("device belongs to another account")
	// ErrTooManyDevices: the account has Limits.Devices devices. One must be
	// revoked first.
	ErrTooManyDevices = errors.New("account has as many devices as allowed")

	// ErrTooManyKeyPackages: the device would have more than
	// Limits.KeyPackages single-use KeyPackages.
	ErrTooManyKeyPackages = errors.New("device would have more key packages than allowed")

	// ErrUnknownQueue: there is no such queue; its device may have been revoked.
	ErrUnknownQueue = errors.New("no such queue")

	// ErrUnknownChannel: there is no such channel.
	ErrUnknownChannel = errors.New("no such channel")
	// ErrChannelExists: another channel has this id.
	ErrChannelExists = errors.New("channel exists")
	// ErrChannelFull: the channel would have more than
	// Limits.ChannelAddresses addresses.
	ErrChannelFull = errors.New("channel would have more addresses than allowed")
	// ErrEpochRange: the epoch is larger than MaxEpoch.
	ErrEpochRange = errors.New("epoch is out of range")

	// ErrNotTried: an earlier post of a batch to the same channel failed.
	ErrNotTried = errors.New("an earlier post to the channel failed")

	// ErrUnknownEndpoint: nobody with this pin has left word, or it has expired.
	ErrUnknownEndpoint = errors.New("no such endpoint")
	// ErrEndpointStale: a record of the same server that was issued as late, or
	// later, is there.
	ErrEndpointStale = errors.New("endpoint is older than the one that is known")
	// ErrEndpointsFull: there are Limits.Endpoints records, or
	// Limits.EndpointsPerNetwork of this network.
	ErrEndpointsFull = errors.New("no more endpoints are kept")

	// ErrUnknownBlob: there is no such blob, or it is out of time or deleted.
	ErrUnknownBlob = errors.New("no such blob")
	// ErrBlobGone: a blob had this name and is out of time or deleted.
	ErrBlobGone = errors.New("blob is gone")
	// ErrBlobConflict: the blob has another size, digest or hash.
	ErrBlobConflict = errors.New("blob is another one")
	// ErrBlobFinished: the upload was finished and takes no further chunk.
	ErrBlobFinished = errors.New("upload is finished")
	// ErrBlobIncomplete: chunks are missing.
	ErrBlobIncomplete = errors.New("chunks are missing")
	// ErrBlobQuota: the count would be more than Limits.BlobQuota.
	ErrBlobQuota = errors.New("quota of blobs is used up")

	// ErrTokenSpent: a token was spent before, for something else.
	ErrTokenSpent = errors.New("token is spent")
	// ErrTokenQuota: the account would have more tokens than allowed in a day.
	ErrTokenQuota = errors.New("quota of tokens is used up")
)

// StaleError: an epoch is not one that the channel accepts.
type StaleError struct {
	// Current is the channel's epoch.
	Current uint64
	// Winner is the item id of the commit that ended the epoch of the request;
	// nil where that has not ended, or ended too long ago.
	Winner *ItemID
}

func (e *StaleError) Error() string { return "epoch is not the channel's" }
