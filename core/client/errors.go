package client

import (
	"errors"
	"fmt"

	"quicprochat/core/identity"
)

// Errors that callers decide by. UserMessage has a sentence for each.
var (
	// ErrWrongPassword: login with an unknown name or a wrong password; the two
	// cannot be told apart.
	ErrWrongPassword = errors.New("client: wrong name or password")
	// ErrNameTaken: somebody has that name on this server.
	ErrNameTaken = errors.New("client: name taken")
	// ErrNameInvalid: the name breaks the rules of identity.CheckName.
	ErrNameInvalid = errors.New("client: name invalid")
	// ErrInviteRequired: the server wants an invite link with a token.
	ErrInviteRequired = errors.New("client: invite required")
	// ErrInviteInvalid: the invite was used up, withdrawn, or never existed.
	ErrInviteInvalid = errors.New("client: invite invalid")
	// ErrInviteExpired: the invite is too old.
	ErrInviteExpired = errors.New("client: invite expired")
	// ErrRegistrationClosed: the server takes no new accounts.
	ErrRegistrationClosed = errors.New("client: registration closed")
	// ErrServerUnreachable: no answer at the address.
	ErrServerUnreachable = errors.New("client: server unreachable")
	// ErrServerIdentity: something answered that is not the server of the link.
	ErrServerIdentity = errors.New("client: server identity mismatch")
	// ErrUnknownUser: the server has no account of that name.
	ErrUnknownUser = errors.New("client: unknown user")
	// ErrUnreachableUser: the account has no device that could be added.
	ErrUnreachableUser = errors.New("client: user has no usable device")
	// ErrYourself: one cannot chat with or add oneself.
	ErrYourself = errors.New("client: that is yourself")
	// ErrOffline: this needs the server, and there is no connection.
	ErrOffline = errors.New("client: offline")
	// ErrUnavailable: the server answers, but cannot do this at the moment, and
	// still could not after a few tries. It matches ErrOffline too.
	ErrUnavailable = fmt.Errorf("client: server unavailable: %w", ErrOffline)
	// ErrNotMember: this device does not, or no longer, take part.
	ErrNotMember = errors.New("client: not a member")
	// ErrNotAllowed: only an administrator of the group may do this.
	ErrNotAllowed = errors.New("client: not allowed")
	// ErrUnknownConversation: no conversation with this id in the vault.
	ErrUnknownConversation = errors.New("client: unknown conversation")
	// ErrUnknownMessage: no message with this id in the vault.
	ErrUnknownMessage = errors.New("client: unknown message")
	// ErrTextInvalid: the text is empty, not UTF-8, or longer than 64 KiB.
	ErrTextInvalid = errors.New("client: text invalid")
	// ErrTitleInvalid: a group title is empty, not UTF-8, or longer than 128 bytes.
	ErrTitleInvalid = errors.New("client: title invalid")
	// ErrKeyChanged: an account came with another key than the one this device
	// knows. Nothing was done.
	ErrKeyChanged = errors.New("client: account key changed")
	// ErrBusy: other members changed the group each time this device tried to.
	ErrBusy = errors.New("client: group changed too often, try again")
	// ErrVaultPassword: the password does not unlock the profile.
	ErrVaultPassword = errors.New("client: wrong vault password")
	// ErrProfileInUse: another process has the profile open.
	ErrProfileInUse = errors.New("client: profile in use")
	// ErrProfileExists: the directory already holds a profile.
	ErrProfileExists = errors.New("client: profile exists")
	// ErrNoProfile: the directory holds none.
	ErrNoProfile = errors.New("client: no profile")
	// ErrDeviceRevoked: the account removed this device.
	ErrDeviceRevoked = errors.New("client: device revoked")
	// ErrBanned: the operators of the server have banned the account. The
	// server's sentence in it says until when; UserMessage shows it.
	ErrBanned = errors.New("client: account banned")
	// ErrNotReportable: this device has nothing to prove the message with, such
	// as for an event.
	ErrNotReportable = errors.New("client: message cannot be reported")
	// ErrReportRefused: the server does not accept the proof, such as of a
	// message of somebody whose account is gone.
	ErrReportRefused = errors.New("client: report refused")
	// ErrReportQuota: the account has reported as much as it may today.
	ErrReportQuota = errors.New("client: too many reports today")
	// ErrUnknownReport: the server has no such report.
	ErrUnknownReport = errors.New("client: unknown report")
	// ErrNoteInvalid: a note or reason is not UTF-8, has control characters in it,
	// or is longer than MaxNote.
	ErrNoteInvalid = errors.New("client: note invalid")
	// ErrRoleRequired: the account's role on the server does not allow this.
	ErrRoleRequired = errors.New("client: role required")
	// ErrLastAdmin: the server would be left without an admin.
	ErrLastAdmin = errors.New("client: last admin")
	// ErrServerIncompatible: a server answered that this version cannot talk to.
	ErrServerIncompatible = errors.New("client: incompatible server")
	// ErrServer: the server failed; nothing was changed.
	ErrServer = errors.New("client: server failure")
	// ErrRateLimited: too many attempts; try again in a while.
	ErrRateLimited = errors.New("client: rate limited")
	// ErrTooManyDevices: the account has as many devices as the server allows.
	ErrTooManyDevices = errors.New("client: too many devices")
	// ErrGroupFull: the server allows no more devices in one conversation.
	ErrGroupFull = errors.New("client: group full")
	// ErrContactQuota: the account has invited as many devices today as the server
	// allows.
	ErrContactQuota = errors.New("client: too many invitations today")
	// ErrClock: this device's clock and the server's are half a day or more apart.
	ErrClock = errors.New("client: clocks differ")
	// ErrBroken: this device cannot follow the conversation at the moment, and
	// asks the others by itself for the way back.
	ErrBroken = errors.New("client: conversation broken")
	// ErrProfileCorrupt: the profile on disk is damaged.
	ErrProfileCorrupt = errors.New("client: profile corrupt")
	// ErrPresentPassword: what was given is not the account's present password.
	ErrPresentPassword = errors.New("client: wrong present password")
	// ErrPasswordUncertain: the connection was lost while the password was being
	// changed. Until the client knows which of the two counts, both open the
	// profile.
	ErrPasswordUncertain = errors.New("client: password changed or not")
	// ErrAccountChanged: another device has changed the password or the recovery
	// code at the same time. Nothing was changed; try again.
	ErrAccountChanged = errors.New("client: account changed elsewhere")
	// ErrRecoveryCodeInvalid: a text is no recovery code, or was mistyped.
	ErrRecoveryCodeInvalid = errors.New("client: not a recovery code")
	// ErrWrongRecoveryCode: unknown name, an account without a code, or not its
	// code; these cannot be told apart.
	ErrWrongRecoveryCode = errors.New("client: wrong name or recovery code")
	// ErrRecoveryLocked: too many wrong codes for this name today.
	ErrRecoveryLocked = errors.New("client: recovery locked for today")
	// ErrRecoveryUncertain: the connection was lost at the very end. Either Login
	// works with the new password, or recovery with the same code.
	ErrRecoveryUncertain = errors.New("client: recovered or not")
	// ErrAccountDeleted: the account was deleted, on another device.
	ErrAccountDeleted = errors.New("client: account deleted")
	// ErrDeviceUnknown: the server does not know this device.
	ErrDeviceUnknown = errors.New("client: device unknown to the server")
	// ErrTooManySettings: no more conversations can be muted or pinned, nor
	// accounts blocked.
	ErrTooManySettings = errors.New("client: too many settings")
	// ErrPushDisabled: the server wakes no devices through push services.
	ErrPushDisabled = errors.New("client: push disabled")
	// ErrPushInvalid: the endpoint is no public https URL, or its keys are not
	// of the kind that Web Push has.
	ErrPushInvalid = errors.New("client: push registration invalid")
	// ErrClosed: the Client was closed.
	ErrClosed = errors.New("client: closed")
)

// NameError says which of several names an error is about.
type NameError struct {
	Name string
	Err  error
}

func (e *NameError) Error() string { return e.Name + ": " + e.Err.Error() }

func (e *NameError) Unwrap() error { return e.Err }

// WeakPasswordError says why a password is too weak, in a sentence for a person.
type WeakPasswordError = identity.WeakPasswordError
