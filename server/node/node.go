// Package node serves NodeService: what the server says about itself, and what
// other servers have said about where they are.
package node

import (
	"context"
	"fmt"

	"quicprochat/core/wire"
	qpcv1 "quicprochat/proto/qpc/v1"
)

// Pinger tells whether the store answers.
type Pinger interface {
	Ping(ctx context.Context) error
}

// Service implements NodeService.
type Service struct {
	store     Pinger
	info      func() (*qpcv1.InfoResponse, error)
	endpoints *Endpoints
}

// New returns a Service that answers Info with what info says at the time.
func New(store Pinger, info func() (*qpcv1.InfoResponse, error), endpoints *Endpoints) *Service {
	return &Service{store, info, endpoints}
}

// Register adds the service's methods to r.
func (s *Service) Register(r *wire.Router) {
	wire.Handle(r, s.health)
	wire.Handle(r, s.describe)
	wire.Handle(r, s.publish)
	wire.Handle(r, s.resolve)
}

func (s *Service) health(ctx context.Context, _ *wire.Peer, _ *qpcv1.HealthRequest) (*qpcv1.HealthResponse, error) {
	if err := s.store.Ping(ctx); err != nil {
		return nil, fmt.Errorf("asking the store: %w", err)
	}
	return &qpcv1.HealthResponse{}, nil
}

func (s *Service) describe(context.Context, *wire.Peer, *qpcv1.InfoRequest) (*qpcv1.InfoResponse, error) {
	return s.info()
}
