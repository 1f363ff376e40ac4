package account

import (
	"context"
	"errors"
	"fmt"

	"quicprochat/core/identity"
	"quicprochat/core/wire"
	qpcv1 "quicprochat/proto/qpc/v1"
	"quicprochat/server/session"
	"quicprochat/server/storage"
)

func (s *Service) putVault(ctx context.Context, p *wire.Peer, req *qpcv1.PutVaultRequest) (*qpcv1.PutVaultResponse, error) {
	id, err := session.AccountOf(p)
	if err != nil {
		return nil, err
	}
	if len(req.Sealed) == 0 || len(req.Sealed) > identity.MaxSealedVault || req.Version == 0 || req.Version > storage.MaxVaultVersion {
		return nil, errMalformed
	}
	err = s.Store.PutVault(ctx, storage.Vault{Account: id, Version: req.Version, Sealed: req.Sealed})
	if conflict, ok := errors.AsType[*storage.VaultConflictError](err); ok {
		return nil, &wire.Error{
			Code:    qpcv1.ErrorCode_ERROR_CODE_VAULT_CONFLICT,
			Message: "Another device has stored its settings. Read them first.",
			Vault:   conflict.Current,
		}
	}
	switch {
	case errors.Is(err, storage.ErrUnknownAccount):
		return nil, errGone
	case err != nil:
		return nil, fmt.Errorf("storing the vault: %w", err)
	}
	return &qpcv1.PutVaultResponse{}, nil
}

func (s *Service) getVault(ctx context.Context, p *wire.Peer, req *qpcv1.GetVaultRequest) (*qpcv1.GetVaultResponse, error) {
	id, err := session.AccountOf(p)
	if err != nil {
		return nil, err
	}
	vault, err := s.Store.Vault(ctx, id)
	if err != nil {
		return nil, fmt.Errorf("reading the vault: %w", err)
	}
	resp := &qpcv1.GetVaultResponse{Version: vault.Version}
	if vault.Version != req.KnownVersion {
		resp.Sealed = vault.Sealed
	}
	return resp, nil
}
