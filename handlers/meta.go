package handlers

import (
	"errors"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"longwire/chat"
	"longwire/openapi"
)

// GetLimits serves GET /v1/limits.
func (a *api) GetLimits(c echo.Context) error {
	return c.JSON(http.StatusOK, a.Service.Limits())
}

// health says that something is well.
type health struct {
	Status string `json:"status"`
}

// GetHealth serves GET /healthz: that it answers is the answer.
func (a *api) GetHealth(c echo.Context) error {
	return c.JSON(http.StatusOK, health{Status: "ok"})
}

// readyRetry is when to ask again whether this node is ready.
const readyRetry = time.Second

// GetReadiness serves GET /readyz. Of a reason only what the domain wrote for
// people goes out; what the infrastructure said goes to the log.
func (a *api) GetReadiness(c echo.Context) error {
	c.Response().Header().Set("Cache-Control", "no-store")
	err := a.Ready()
	if err == nil {
		return c.JSON(http.StatusOK, health{Status: "ok"})
	}
	detail := "This node is not ready."
	if known, ok := errors.AsType[*chat.Error](err); ok && known.Code != chat.CodeInternal && known.Detail != "" {
		detail = known.Detail
	}
	return &chat.Error{Code: chat.CodeUnavailable, Detail: detail, RetryAfter: readyRetry, Err: err}
}

// GetOpenapiJson serves GET /openapi.json.
func (a *api) GetOpenapiJson(c echo.Context) error {
	return c.Blob(http.StatusOK, echo.MIMEApplicationJSON, a.spec.JSON)
}

// GetOpenapiYaml serves GET /openapi.yaml.
func (a *api) GetOpenapiYaml(c echo.Context) error {
	return c.Blob(http.StatusOK, "application/yaml", openapi.YAML())
}
