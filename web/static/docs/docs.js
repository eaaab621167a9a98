// The API's reference: Swagger UI over the specification that this server serves.
"use strict";

const dark = matchMedia("(prefers-color-scheme: dark)");
const paint = () => document.documentElement.classList.toggle("dark-mode", dark.matches);
dark.addEventListener("change", paint);
paint();

// The calls whose answers have a token that all others want.
const signsIn = /\/v1\/auth\/(login|register|refresh)$/;

const ui = SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#reference",
  deepLinking: true,
  defaultModelsExpandDepth: 0,
  displayRequestDuration: true,
  docExpansion: "list",
  filter: true,
  requestSnippetsEnabled: true,
  showExtensions: true, // x-error-codes: what each operation may answer with
  tryItOutEnabled: true,
  validatorUrl: null, // nothing leaves this server
  // Tokens live as long as this page does, and nowhere but in its memory.
  persistAuthorization: false,
  responseInterceptor(response) {
    if (response.ok && signsIn.test(response.url) && response.obj && response.obj.access_token) {
      ui.preauthorizeApiKey("bearerAuth", response.obj.access_token);
    }
    return response;
  },
});
