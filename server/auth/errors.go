package auth

import (
	"quicprochat/core/wire"
	qpcv1 "quicprochat/proto/qpc/v1"
)

var (
	errName           = wire.NewError(qpcv1.ErrorCode_ERROR_CODE_NAME_INVALID, "A name has 2 to 32 letters a to z, digits, dots, dashes and underscores, and begins and ends with a letter or digit.")
	errTaken          = wire.NewError(qpcv1.ErrorCode_ERROR_CODE_NAME_TAKEN, "This name is taken. Choose another one.")
	errClosed         = wire.NewError(qpcv1.ErrorCode_ERROR_CODE_REGISTRATION_CLOSED, "This server takes no new accounts.")
	errInviteRequired = wire.NewError(qpcv1.ErrorCode_ERROR_CODE_INVITE_REQUIRED, "This server wants an invite. Ask somebody who runs it for a link.")
	errInviteInvalid  = wire.NewError(qpcv1.ErrorCode_ERROR_CODE_INVITE_INVALID, "This invite is not known here, or was used up. Ask for a new link.")
	errInviteExpired  = wire.NewError(qpcv1.ErrorCode_ERROR_CODE_INVITE_EXPIRED, "This invite has expired. Ask for a new link.")
	errMalformed      = wire.NewError(qpcv1.ErrorCode_ERROR_CODE_MALFORMED, "The request has a field that is out of range.")
	errLoginFailed    = wire.NewError(qpcv1.ErrorCode_ERROR_CODE_LOGIN_FAILED, "Wrong name or password.")
	errAuthenticated  = wire.NewError(qpcv1.ErrorCode_ERROR_CODE_WRONG_CONNECTION, "This connection has logged in already. Use a new one.")
	errOtherAccount   = wire.NewError(qpcv1.ErrorCode_ERROR_CODE_WRONG_CONNECTION, "This connection belongs to another account.")
	errDeviceRefused  = wire.NewError(qpcv1.ErrorCode_ERROR_CODE_DEVICE_REFUSED, "This device is not known here, or did not prove its key.")
	errDeviceRevoked  = wire.NewError(qpcv1.ErrorCode_ERROR_CODE_DEVICE_REVOKED, "This device was revoked by its account.")
	errDeviceTaken    = wire.NewError(qpcv1.ErrorCode_ERROR_CODE_CERTIFICATE_INVALID, "This device key belongs to another account.")
)
