package node

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"google.golang.org/protobuf/proto"

	"quicprochat/core/rendezvous"
	"quicprochat/core/wire"
	qpcv1 "quicprochat/proto/qpc/v1"
	"quicprochat/server/storage"
)

var (
	errRecord  = wire.NewError(qpcv1.ErrorCode_ERROR_CODE_ENDPOINT_INVALID, "The record is malformed, out of its time, or not signed with the key that it names.")
	errStale   = wire.NewError(qpcv1.ErrorCode_ERROR_CODE_ENDPOINT_STALE, "A later record of this server is known.")
	errFull    = wire.NewError(qpcv1.ErrorCode_ERROR_CODE_ENDPOINTS_FULL, "This server keeps no more addresses of others. Name another one as rendezvous.")
	errUnknown = wire.NewError(qpcv1.ErrorCode_ERROR_CODE_UNKNOWN_ENDPOINT, "No server with this pin has left word here lately.")
	errPin     = wire.NewError(qpcv1.ErrorCode_ERROR_CODE_MALFORMED, "A pin has 32 bytes.")
)

// Endpoints keeps the word that other servers leave.
type Endpoints struct {
	Store storage.EndpointStore
	// NetworkKey hides from which networks records came.
	NetworkKey [32]byte
	// Closed: this server keeps none.
	Closed bool
	Now    func() time.Time
}

func (s *Service) publish(ctx context.Context, p *wire.Peer, req *qpcv1.PublishEndpointRequest) (*qpcv1.PublishEndpointResponse, error) {
	e := s.endpoints
	if e.Closed {
		return nil, errFull
	}
	endpoint, err := rendezvous.Open(req.Record, e.Now())
	if err != nil {
		return nil, errRecord
	}
	record, err := proto.Marshal(&qpcv1.EndpointRecord{Body: req.Record.Body, Signature: req.Record.Signature})
	if err != nil {
		return nil, fmt.Errorf("encoding a record: %w", err)
	}
	err = e.Store.PutEndpoint(ctx, storage.Endpoint{
		Pin: endpoint.Pin, Record: record, Issued: uint64(endpoint.Issued.UnixMilli()), Expires: endpoint.Expires,
		Network: e.network(p.RemoteAddr()),
	})
	switch {
	case errors.Is(err, storage.ErrEndpointStale):
		return nil, errStale
	case errors.Is(err, storage.ErrEndpointsFull):
		return nil, errFull
	case err != nil:
		return nil, fmt.Errorf("endpoint store: %w", err)
	}
	return &qpcv1.PublishEndpointResponse{SeenAs: p.RemoteAddr().Unmap().WithZone("").String()}, nil
}

func (s *Service) resolve(ctx context.Context, _ *wire.Peer, req *qpcv1.ResolveEndpointRequest) (*qpcv1.ResolveEndpointResponse, error) {
	if len(req.Pin) != len(storage.EndpointPin{}) {
		return nil, errPin
	}
	raw, err := s.endpoints.Store.Endpoint(ctx, storage.EndpointPin(req.Pin), s.endpoints.Now())
	if errors.Is(err, storage.ErrUnknownEndpoint) {
		return nil, errUnknown
	}
	if err != nil {
		return nil, fmt.Errorf("endpoint store: %w", err)
	}
	record := &qpcv1.EndpointRecord{}
	if err := proto.Unmarshal(raw, record); err != nil {
		return nil, fmt.Errorf("a stored record: %w", err)
	}
	return &qpcv1.ResolveEndpointResponse{Record: record}, nil
}

// network stands for an IPv4 address or an IPv6 /48, of which one customer may
// have all.
func (e *Endpoints) network(ip netip.Addr) [16]byte {
	ip = ip.Unmap().WithZone("")
	if prefix, err := ip.Prefix(48); err == nil && ip.Is6() {
		ip = prefix.Addr()
	}
	mac := hmac.New(sha256.New, e.NetworkKey[:])
	raw := ip.As16()
	mac.Write(raw[:])
	return [16]byte(mac.Sum(nil)[:16])
}
