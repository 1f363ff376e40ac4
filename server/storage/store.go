// Package storage defines what a server keeps and the operations on it.
//
// [Store] is one interface with an implementation per database; the package
// storagetest holds the suite that every implementation passes. The store
// holds ciphertext and bookkeeping only: queue items are sealed by the caller
// before they reach it, and queue addresses are opaque to it, so that nothing
// in the database tells which queues belong to one channel.
//
// The caller owes: validated input (certificates, signatures, KeyPackages,
// names, lengths of keys), a clock (every operation that needs the time takes
// it), and regular calls of Store.Expire.
package storage

import (
	"context"
	"time"
)

// Store keeps everything of a server. It is safe for concurrent use.
//
// A method that changes something does so in one transaction and returns only
// when that is durable; after an error nothing is changed. A context that ends
// before the change began gives its error and changes nothing; once begun, the
// change is carried through and its outcome returned.
//
// Errors are the sentinels of this package (test with errors.Is), *StaleError,
// or a failure of the database. None holds a name, an id or an address.
type Store interface {
	AccountStore
	VaultStore
	RecoveryStore
	DeviceStore
	KeyStore
	QueueStore
	ChannelStore
	BlobStore
	PushStore
	EndpointStore
	SessionStore
	ModerationStore
	ContactStore

	// Expire deletes what is out of time at now: queue items, records of
	// posted items, KeyPackages, invites, channels without activity, endpoints,
	// spent tokens, counts of quotas and of guesses, reports, and bans that are
	// over; blobs that are out of time are gone then. One call does a bounded
	// piece of work, in proportion to limit, so that it
	// holds up nobody, and returns how much it did; 0: nothing was left to do.
	Expire(ctx context.Context, now time.Time, limit int) (int, error)

	// Ping tells whether the database answers.
	Ping(ctx context.Context) error

	// Observe has f called after every transaction that changes something, by
	// several goroutines at once; f must return at once. It is called before
	// any other method, and once.
	Observe(f func(Transaction))

	// Close finishes what is under way and closes the database. Every later
	// call gives ErrClosed.
	Close() error
}

// AccountStore keeps accounts and the invites that allow to create them.
type AccountStore interface {
	// CreateInvite stores an invite. ErrInviteExists: the hash is there already.
	CreateInvite(ctx context.Context, invite Invite) error

	// Invites lists invites that could be used at now, those that expire first
	// first, at most limit.
	Invites(ctx context.Context, now time.Time, limit int) ([]Invite, error)

	// DeleteInvite deletes an invite: nobody can use it any more.
	// ErrInviteUnknown.
	DeleteInvite(ctx context.Context, hash InviteHash) error

	// CheckInvite tells whether an account could be created with an invite at
	// now, and consumes nothing. ErrInviteUnknown, ErrInviteExpired,
	// ErrInviteUsedUp.
	CheckInvite(ctx context.Context, hash InviteHash, now time.Time) error

	// CreateAccount creates an account and its first device and consumes one
	// use of the invite, whose role the account gets, all or nothing, and
	// returns the device with its queue.
	// The invite is checked first, so that nobody without one learns which
	// names are taken. ErrInviteUnknown, ErrInviteExpired, ErrInviteUsedUp,
	// ErrNameTaken (deleted accounts keep theirs), ErrAccountExists (the id),
	// ErrDeviceExists.
	CreateAccount(ctx context.Context, account NewAccount) (Device, error)

	// AccountByName finds an account by its exact name. ErrUnknownAccount.
	AccountByName(ctx context.Context, name string) (Account, error)

	// Account finds an account by its id. ErrUnknownAccount.
	Account(ctx context.Context, id [16]byte) (Account, error)

	// Accounts lists accounts in the order of their names' bytes, from the one
	// behind a name on, at most limit. Record and SealedKey are left out.
	Accounts(ctx context.Context, after string, limit int) ([]Account, error)

	// NameDeleted tells whether an account with this name was deleted.
	NameDeleted(ctx context.Context, name NameHash) (bool, error)

	// ChangePassword replaces the OPAQUE record and the sealed key of an
	// account whose record is still the one that the change is based on. The
	// same change again changes nothing. ErrUnknownAccount, ErrAccountChanged.
	ChangePassword(ctx context.Context, change PasswordChange) error

	// DeleteAccount deletes an account and all that names it: its devices with
	// their queues and keys, those that were revoked, its vault, its recovery
	// bundle and its ban. The hash of its name stays, so that nobody gets the
	// name again. Deleting an account that is not there changes nothing. It may
	// go in pieces, the role first, then devices: after an error some may be
	// gone, and calling it again takes it up.
	//
	// ErrLastAdmin, and nothing is changed: there are other accounts, and none
	// of them is an admin without a ban, one that Expire has not deleted yet
	// included.
	DeleteAccount(ctx context.Context, id [16]byte, name NameHash) error

	// MayDeleteAccount tells whether DeleteAccount would delete an account, and
	// changes nothing. ErrLastAdmin.
	MayDeleteAccount(ctx context.Context, id [16]byte) error
}

// VaultStore keeps what the devices of an account share, sealed by them.
type VaultStore interface {
	// PutVault stores a vault whose version is one more than that of the vault
	// that is there; 1 where there is none. The same vault again changes
	// nothing. ErrUnknownAccount, *VaultConflictError.
	PutVault(ctx context.Context, vault Vault) error

	// Vault gives the vault of an account; the zero Vault where it has none.
	Vault(ctx context.Context, account [16]byte) (Vault, error)
}

// RecoveryStore keeps the bundles that open an account without its password.
type RecoveryStore interface {
	// PutRecovery replaces the bundle of an account. ErrUnknownAccount.
	PutRecovery(ctx context.Context, bundle Recovery) error

	// Recovery gives the bundle of an account. ErrNoRecovery.
	Recovery(ctx context.Context, account [16]byte) (Recovery, error)

	// DeleteRecovery deletes the bundle of an account. One that is not there is
	// no error.
	DeleteRecovery(ctx context.Context, account [16]byte) error

	// RecoverAccount replaces the OPAQUE record, the sealed key and the bundle
	// of an account whose bundle still has the verifier that the change is
	// based on. The same change again changes nothing. ErrUnknownAccount,
	// ErrAccountChanged.
	RecoverAccount(ctx context.Context, change RecoveryChange) error

	// CountRecoveryTry counts a guess of somebody's recovery code, before it is
	// judged. ErrTooManyTries: there were RecoveryTries on this day of now
	// already; it is not counted.
	CountRecoveryTry(ctx context.Context, subject RecoverySubject, now time.Time) error

	// ForgiveRecoveryTry takes back a guess that was counted at now and turned
	// out to be right.
	ForgiveRecoveryTry(ctx context.Context, subject RecoverySubject, now time.Time) error
}

// DeviceStore keeps the devices of accounts, each with its queue.
type DeviceStore interface {
	// AddDevice adds a device to an account and gives it an empty queue. For a
	// device that the account has, it replaces the certificate and changes
	// nothing else. ErrUnknownAccount, ErrTooManyDevices, ErrDeviceRevoked,
	// ErrDeviceExists (it belongs to another account).
	AddDevice(ctx context.Context, device NewDevice) (Device, error)

	// Device finds a device of an account. ErrUnknownDevice, ErrDeviceRevoked.
	Device(ctx context.Context, account, device [16]byte) (Device, error)

	// Devices lists the devices of an account in the order of their enrolment,
	// revoked ones left out. An unknown account has none.
	Devices(ctx context.Context, account [16]byte) ([]Device, error)

	// RevokeDevice deletes a device with its queue and its keys, for good.
	// Revoking it again changes nothing. ErrUnknownDevice.
	RevokeDevice(ctx context.Context, account, device [16]byte) error
}

// KeyStore keeps what others need to reach a device for the first time.
type KeyStore interface {
	// PutKeyPackages stores KeyPackages of a device, all or none, and returns
	// how many single-use ones can now be claimed. A ref that was stored before
	// is left as it is, claimed or not. ErrUnknownDevice, ErrDeviceRevoked,
	// ErrTooManyKeyPackages.
	PutKeyPackages(ctx context.Context, put KeyPackageUpload) (int, error)

	// CountKeyPackages counts the single-use KeyPackages of a device that can
	// be claimed at now, and tells whether there is a last-resort one.
	CountKeyPackages(ctx context.Context, device [16]byte, now time.Time) (count int, lastResort bool, err error)

	// ClaimKeyPackages takes one KeyPackage for each device of an account
	// except those listed, in the order of enrolment. A single-use one is given
	// out once; the last-resort one where there is no other, and it stays.
	// Devices without a KeyPackage or without a hybrid key are left out, and all
	// of an account that is banned at now. ErrUnknownAccount.
	ClaimKeyPackages(ctx context.Context, account [16]byte, except [][16]byte, now time.Time) ([]DeviceKeys, error)

	// PutHybridKey replaces the hybrid key of a device. ErrUnknownDevice,
	// ErrDeviceRevoked.
	PutHybridKey(ctx context.Context, device [16]byte, key []byte) error

	// HybridKey gives the hybrid key of a device. ErrUnknownDevice: no such
	// device, or it has none.
	HybridKey(ctx context.Context, device [16]byte) ([]byte, error)
}

// QueueStore gives a device what waits for it.
type QueueStore interface {
	// FetchItems reads items after a seq, in order: at most limit of them, and
	// no more than maxBytes of sealed bytes in all, but always at least one
	// where there is one. more tells that others wait behind them.
	// ErrUnknownQueue.
	FetchItems(ctx context.Context, queue QueueID, after uint64, limit, maxBytes int) (items []Item, more bool, err error)

	// LastSeq gives the newest seq that was assigned in a queue; 0 in one that
	// never had an item. ErrUnknownQueue.
	LastSeq(ctx context.Context, queue QueueID) (uint64, error)

	// LastSeqs is LastSeq for many queues, and leaves out those that do not
	// exist.
	LastSeqs(ctx context.Context, queues []QueueID) (map[QueueID]uint64, error)

	// AckItems deletes every item up to and including a seq.
	// ErrUnknownQueue.
	AckItems(ctx context.Context, queue QueueID, upTo uint64) error

	// Peek tells what waits in a queue. It costs the same however much that is.
	// ErrUnknownQueue.
	Peek(ctx context.Context, queue QueueID) (Waiting, error)
}

// PushStore keeps how devices without a connection are woken. What it keeps is
// sealed by the caller.
type PushStore interface {
	// PutPush stores the registration of a device in place of the one before.
	// It ends with the device. ErrUnknownDevice, ErrDeviceRevoked.
	PutPush(ctx context.Context, device [16]byte, sealed []byte) error

	// DeletePush deletes the registration of a device. One that is not there
	// is no error.
	DeletePush(ctx context.Context, device [16]byte) error

	// DeletePushes deletes the registrations of all devices of an account.
	DeletePushes(ctx context.Context, account [16]byte) error

	// PushTargets gives those of the queues, at most MaxPushTargets, whose
	// devices have a registration, in no order.
	PushTargets(ctx context.Context, queues []QueueID) ([]PushTarget, error)

	// ForgetPush deletes the registration of the device of a queue where it is
	// still the one that was given as sealed.
	ForgetPush(ctx context.Context, queue QueueID, sealed []byte) error
}

// EndpointStore keeps where other servers can be reached.
type EndpointStore interface {
	// PutEndpoint stores what a server says of itself in place of what it said
	// before. The same record again changes nothing. One that is there can
	// always be replaced, so that a server can move anywhere: it counts in its
	// new network or, where that is full, on in the one before. ErrEndpointStale
	// (one that was issued as late or later is there), ErrEndpointsFull.
	PutEndpoint(ctx context.Context, e Endpoint) error

	// Endpoint gives the record of a server that has not expired at now.
	// ErrUnknownEndpoint.
	Endpoint(ctx context.Context, pin EndpointPin, now time.Time) (record []byte, err error)
}

// ChannelStore keeps channels: an order of items, one commit per epoch, and
// the addresses to which they go.
type ChannelStore interface {
	// CreateChannel creates a channel. Creating it again with the same epoch,
	// key and addresses changes nothing, however far it has come since.
	// ErrChannelExists, ErrChannelFull, ErrEpochRange.
	CreateChannel(ctx context.Context, channel NewChannel) error

	// Channel gives the epoch of a channel and the keys that it accepts.
	// ErrUnknownChannel.
	Channel(ctx context.Context, id ChannelID) (Channel, error)

	// ChannelAddresses lists the addresses of a channel, in no order.
	// ErrUnknownChannel.
	ChannelAddresses(ctx context.Context, id ChannelID) ([][]byte, error)

	// Post appends an item to every queue of a channel. A repeated item id is
	// answered like the first time, whatever the epoch, and appends nothing.
	// ErrUnknownChannel, *StaleError.
	Post(ctx context.Context, post Post) (Posted, error)

	// PostBatch is Post for several, in their order within each channel and in
	// as few transactions as can be, and gives the outcome of each. Behind a post that failed, those
	// to the same channel are not tried: ErrNotTried. A context that ends
	// leaves the posts that had not begun with its error.
	PostBatch(ctx context.Context, posts []Post) []PostOutcome

	// Commit ends an epoch: where commit.Epoch is the current one, it appends
	// the commit to every queue of the channel as it was, and the welcomes to
	// theirs, changes the addresses and moves the channel to the next epoch. A
	// repeated item id is answered like the first time and changes nothing. Its
	// tokens are spent where it is accepted, and only then.
	// ErrUnknownChannel, ErrChannelFull, ErrEpochRange, *StaleError,
	// ErrTokenSpent.
	Commit(ctx context.Context, commit Commit) (Posted, error)

	// Winner gives the item id of the commit that ended an epoch. ok is false
	// where the epoch has not ended or ended too long ago. ErrUnknownChannel.
	Winner(ctx context.Context, id ChannelID, epoch uint64) (item ItemID, ok bool, err error)

	// DeleteChannel deletes a channel whose current epoch is epoch. What was
	// delivered stays in the queues. ErrUnknownChannel, *StaleError.
	DeleteChannel(ctx context.Context, id ChannelID, epoch uint64) error
}

// BlobStore keeps the books of blobs. Their contents lie elsewhere, in an
// object for each chunk; no row here tells whose a blob is.
//
// Objects and rows are kept together in spite of crashes by this order: an
// object is written after its upload was created, and a gone blob is forgotten
// after its objects were deleted. From its last moment on a blob is unknown to
// every method but those that clear it away: GoneBlobs and ClearedBlob.
type BlobStore interface {
	// CreateBlob begins an upload and counts its charge, all or nothing.
	// Beginning it again with the same size changes and counts nothing,
	// finished or not; the chunk size stays what it was. ErrBlobConflict
	// (another size), ErrBlobGone, ErrBlobQuota.
	CreateBlob(ctx context.Context, blob NewBlob) (Blob, error)

	// Blob finds a blob or an upload that is not out of time at now.
	// ErrUnknownBlob.
	Blob(ctx context.Context, name BlobName, now time.Time) (Blob, error)

	// BlobChunks lists the numbers of the chunks of a blob that were stored, in
	// order. An unknown blob has none.
	BlobChunks(ctx context.Context, name BlobName) ([]int, error)

	// BeginChunk notes the digest of a chunk before its object is written: from
	// then on no other can take its place. stored tells that the object was
	// written already. ErrUnknownBlob, ErrBlobConflict (another digest),
	// ErrBlobFinished (it was finished and never had this chunk).
	BeginChunk(ctx context.Context, chunk BlobChunk) (stored bool, err error)

	// StoredChunk notes that the object of a chunk was written and will stay.
	// ErrUnknownBlob: the blob is gone meanwhile, or the chunk was not begun.
	StoredChunk(ctx context.Context, chunk BlobChunk) error

	// FinishBlob makes an upload a blob whose contents have a hash. Finishing
	// it again with the same hash changes nothing. ErrUnknownBlob,
	// ErrBlobIncomplete, ErrBlobConflict (another hash).
	FinishBlob(ctx context.Context, name BlobName, hash [32]byte, now time.Time) (Blob, error)

	// DeleteBlob ends a blob or an upload. One that is not there is no error.
	DeleteBlob(ctx context.Context, name BlobName) error

	// GoneBlobs lists blobs whose objects are to be deleted, at most limit.
	GoneBlobs(ctx context.Context, now time.Time, limit int) ([]Blob, error)

	// ClearedBlob notes that the objects of a gone blob were deleted. The first
	// time, it stays gone for a day or two and is listed again then, since a
	// chunk that was on its way could be written once more; the next time, it
	// is forgotten. One that is not listed at now is left as it is.
	ClearedBlob(ctx context.Context, name BlobName, now time.Time) error
}

// ModerationStore keeps roles, bans and reports. Changes of roles and bans take
// turns, so that the rules hold whoever asks at the same time.
type ModerationStore interface {
	// SetRole gives an account a role. ErrUnknownAccount.
	SetRole(ctx context.Context, account [16]byte, role Role) error

	// BanAccount bans an account, in place of a ban that it may have.
	// ErrUnknownAccount; ErrForbidden: ban.By is the account itself, is banned,
	// or has no role that may ban it; ErrLastAdmin: no other admin would be left
	// who is not banned.
	BanAccount(ctx context.Context, ban NewBan) (Ban, error)

	// UnbanAccount lifts the ban of an account. One without a ban is no error.
	// by and errors are as in BanAccount, but for ErrLastAdmin.
	UnbanAccount(ctx context.Context, account [16]byte, by *[16]byte, now time.Time) error

	// Bans lists the bans in force at now behind a number, in the order of
	// their numbers, at most limit.
	Bans(ctx context.Context, after uint64, now time.Time, limit int) ([]Banned, error)

	// LastBan gives the number of the newest ban that was ever made; 0: there
	// was none. Whoever sees a number sees every ban up to it.
	LastBan(ctx context.Context) (uint64, error)

	// AddReport keeps a report and counts it. One whose ID is there already is
	// neither kept nor counted again: added is false. ErrReportQuota.
	AddReport(ctx context.Context, report NewReport) (added bool, err error)

	// Reports gives a page of reports, in the order of their numbers; more
	// tells that others are behind it.
	Reports(ctx context.Context, page ReportPage) (reports []Report, more bool, err error)

	// ResolveReport sets the resolution of a report; 0 opens it again.
	// ErrUnknownReport.
	ResolveReport(ctx context.Context, number uint64, resolution uint8) error
}

// ContactStore keeps the books of tokens. Nothing that one method writes is
// found in what another writes, so that issuing and spending cannot be linked.
type ContactStore interface {
	// CountTokens counts a batch against its quota. The batch that was counted
	// last is not counted again. ErrTokenQuota: it would be more than the limit.
	CountTokens(ctx context.Context, batch TokenBatch) error

	// DeliverSealed spends a token and appends an item to a queue, all or
	// nothing. A token that was spent for the same use is answered like the
	// first time and appends nothing; Appended names the queue all the same. A
	// queue that does not exist is passed over. ErrTokenSpent: for another use.
	DeliverSealed(ctx context.Context, delivery SealedDelivery) (Posted, error)
}
