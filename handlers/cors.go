package handlers

import (
	"net/http"
	"slices"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/labstack/echo/v4/middleware"
)

// preflightAge is how long a browser need not ask again; more than this none remembers.
const preflightAge = 2 * time.Hour

// allowOrigins lets pages of other origins use the API by their tokens. They
// are never allowed credentials, which here is the inbox cookie: it is for the
// page that this server serves.
func allowOrigins(origins []string) echo.MiddlewareFunc {
	config := middleware.CORSConfig{
		AllowMethods: []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete},
		AllowHeaders: []string{echo.HeaderAuthorization, echo.HeaderContentType, "Idempotency-Key", "Last-Event-ID"},
		ExposeHeaders: []string{
			echo.HeaderRetryAfter, "RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset", echo.HeaderXRequestID, "Idempotency-Replayed",
		},
		MaxAge: int(preflightAge.Seconds()),
	}
	if slices.Contains(origins, "*") {
		config.AllowOrigins = []string{"*"}
	} else {
		// Compared as they are: as a list they would be patterns.
		config.AllowOriginFunc = func(origin string) (bool, error) { return slices.Contains(origins, origin), nil }
	}
	return middleware.CORSWithConfig(config)
}
